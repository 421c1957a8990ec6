import copy
import doctest
import inspect
import math
import pickle
import subprocess
import sys
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AsyncVectorEnv
from stable_baselines3.common.env_checker import check_env as check_env_sb3

import token_env.env
from token_env import REFERENCES, REWARDS, SIZES, SettingError, Task, evaluate
from token_env.drawing.as_text import without_colours
from token_env.env import TokenEnv
from token_env.languages.synthetic import synthetic
from token_env.vector import TokenVectorEnv

IDS = {size: "TokenTask-v0" if size == "fast" else f"TokenTask-{size.capitalize()}-v0" for size in SIZES}


@pytest.mark.parametrize("reward", [*REWARDS, lambda t: t.adequacy])
@pytest.mark.parametrize("lookahead", [0, 3])
def test_both_environment_checkers_pass_without_a_warning(reward, lookahead, capsys):
    keywords = {"reward": reward, "lookahead": lookahead}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("TokenTask-Tiny-v0", **keywords).unwrapped)
        check_env_sb3(gymnasium.make("TokenTask-Tiny-v0", **keywords))


@pytest.mark.parametrize("keywords", [{"observation": "tokens"}, {"optimum": True}, {"language": "english"}])
def test_both_environment_checkers_pass_with_every_option(keywords, capsys):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(gymnasium.make("TokenTask-Tiny-v0", **keywords).unwrapped)
        check_env_sb3(gymnasium.make("TokenTask-Tiny-v0", **keywords))


def test_the_end_of_an_episode_tells_its_score_where_it_was_asked_for():
    env = gymnasium.make("TokenTask-Tiny-v0", split="test", optimum=True).unwrapped
    best = REFERENCES["optimal"]
    for policy, score in ((best, 1.0), (REFERENCES["verbatim"], None)):
        task = Task(split="test", optimum=True, **SIZES["tiny"])
        said = evaluate(policy, [5], task=task)
        env.reset(options={"problem_id": 5})
        for token in said.actions[0].tolist():
            *_, info = env.step(token)
        assert info["optimal_return"] == pytest.approx(float(said.optimal_returns[0]), abs=1e-12)
        assert info["score"] == pytest.approx(score or said.score)
        assert info["is_success"] is (info["score"] >= 0.5)
    assert "score" not in play_to_the_end(gymnasium.make("TokenTask-Tiny-v0"))


def test_a_score_without_a_possible_return_is_nan_and_no_success():
    info = play_to_the_end(gymnasium.make("TokenTask-Tiny-v0", optimum=True, adequacy_scale=0.0))
    assert info["optimal_return"] == 0.0
    assert math.isnan(info["score"])
    assert info["is_success"] is False


@pytest.mark.parametrize("keywords", [{}, {"optimum": True}])
def test_info_has_the_same_names_and_types_in_all_steps(keywords):
    """Tools that record infos, such as Minari's DataCollector, stack them."""
    env = TokenEnv(vocab_size=64, max_steps=3, **keywords)
    _, info = env.reset(options={"problem_id": 7})
    infos = [info, *(env.step(5)[4] for _ in range(3))]
    assert len({tuple((name, type(value)) for name, value in info.items()) for info in infos}) == 1
    assert {info["problem_id"] for info in infos} == {7}
    if keywords:
        assert len({info["optimal_return"] for info in infos}) == 1
        assert [bool(info["score"]) for info in infos] == [False, False, False, True]
    assert infos[0]["adequacy"] == infos[0]["fluency_penalty"] == 0.0


def play_to_the_end(env):
    env.reset(seed=0)
    ended = False
    while not ended:
        *_, ended, _, info = env.step(0)
    return info


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_registered_with_its_vector_form(size):
    env = gymnasium.make(IDS[size]).unwrapped
    assert env.action_space.n == SIZES[size]["vocab_size"]
    assert env.task.max_steps == SIZES[size]["max_steps"]
    batch = gymnasium.make_vec(IDS[size], num_envs=3)
    assert batch.reset(seed=0)[0].shape == (3, *env.observation_space.shape)
    assert type(batch).__name__ == "TokenVectorEnv"


def test_fast_is_the_default_of_every_keyword():
    assert gymnasium.make("TokenTask-v0").unwrapped.task == Task()


def test_the_environment_can_be_made_without_importing_the_package():
    code = "import gymnasium; print(gymnasium.make('token_env:TokenTask-v0').reset(seed=0)[0].shape)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "(51,)"


def test_a_language_at_hand_can_be_given_and_is_truncated():
    language = synthetic(100)
    env = gymnasium.make("TokenTask-v0", language=language, vocab_size=64)
    assert env.unwrapped.language.fingerprint == synthetic(64).fingerprint
    batch = gymnasium.make_vec("TokenTask-v0", num_envs=2, language=language, vocab_size=64)
    np.testing.assert_array_equal(batch.reset(seed=3)[0][0], env.reset(seed=3)[0])


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_a_copied_environment_goes_on_like_the_original(copied):
    env = TokenEnv(vocab_size=64, max_steps=4)
    env.reset(seed=0)
    env.step(3)
    twin = copied(env)
    for action in (5, 6, 7):
        np.testing.assert_equal(env.step(action), twin.step(action))
    np.testing.assert_array_equal(env.reset()[0], twin.reset()[0])


def test_worker_processes_play_what_single_environments_play():
    keywords = {"language": synthetic(80), "vocab_size": 64, "max_steps": 4}
    workers = AsyncVectorEnv([lambda: TokenEnv(**keywords)] * 2)
    try:
        seen = [workers.reset(seed=5)[0], *(workers.step(np.array([t, t + 1]))[0] for t in range(3))]
    finally:
        workers.close()
    batch = TokenVectorEnv(2, **keywords)
    expected = [batch.reset(seed=5)[0], *(batch.step(np.array([t, t + 1]))[0] for t in range(3))]
    np.testing.assert_array_equal(seen, expected)


def test_making_the_environment_imports_no_torch_and_nothing_that_draws():
    unwanted = "{'torch', 'stable_baselines3', 'pandas', 'matplotlib', 'PIL'}"
    made = "gymnasium.make('TokenTask-Tiny-v0', render_mode='rgb_array').reset()"
    code = f"import sys, gymnasium, token_env; {made}; print(sorted({unwanted} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def play_some(env, seed):
    generator, seen = np.random.default_rng(seed), []
    observation, _ = env.reset(seed=seed)
    for _ in range(20):
        seen.append(observation)
        observation, reward, terminated, truncated, info = env.step(int(generator.integers(64)))
        seen.append([reward, terminated, truncated, info["adequacy"], info["fluency_penalty"]])
        if terminated:
            seen.append([info["problem_id"]])
            observation, _ = env.reset()
    return np.concatenate(seen)


def test_the_same_seed_gives_the_same_trajectory_in_another_process():
    code = f"""import gymnasium, token_env, numpy as np
{inspect.getsource(play_some)}
print(play_some(gymnasium.make('TokenTask-Tiny-v0'), 7).tobytes().hex())
"""
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == play_some(gymnasium.make("TokenTask-Tiny-v0"), 7).tobytes().hex()


def test_numpys_numbers_are_as_good_as_pythons():
    ours = TokenEnv(vocab_size=np.int64(67), message_vocab=np.int32(60), noise=np.float32(0.25), max_steps=np.uint8(4))
    plain = TokenEnv(vocab_size=67, message_vocab=60, noise=0.25, max_steps=4)
    assert ours.task == plain.task
    np.testing.assert_array_equal(ours.reset(seed=1)[0], plain.reset(seed=1)[0])


def test_other_seeds_give_other_problems():
    env = TokenEnv(vocab_size=64)
    starts = [env.reset(seed=seed)[0].tobytes() for seed in range(20)]
    assert len(set(starts)) == 20


def finish(env):
    """Play to the end; the last info."""
    terminated = False
    while not terminated:
        *_, terminated, _, info = env.step(0)
    return info


def test_a_seed_draws_the_first_problem_and_the_next_ids_follow():
    env = TokenEnv(vocab_size=64, max_steps=3)
    env.reset(seed=5)
    first = finish(env)["problem_id"]
    assert first == np.random.default_rng(np.random.SeedSequence(5)).integers(2**62)
    env.reset()
    assert finish(env)["problem_id"] == first + 1
    env.reset(options={"problem_id": 17})
    assert finish(env) | {"adequacy": 0, "fluency_penalty": 0} == {
        "adequacy": 0,
        "fluency_penalty": 0,
        "problem_id": 17,
        "split": "train",
    }
    env.reset()
    assert finish(env)["problem_id"] == 18


def test_a_finite_split_is_played_in_a_circle():
    env = TokenEnv(vocab_size=64, max_steps=2, num_problems=3)
    env.reset(options={"problem_id": 1})
    ids = [finish(env)["problem_id"]]
    for _ in range(4):
        env.reset()
        ids.append(finish(env)["problem_id"])
    assert ids == [1, 2, 0, 1, 2]


def test_the_episode_terminates_after_max_steps_with_the_clock_at_one():
    env = TokenEnv(vocab_size=64, max_steps=5)
    observation, _ = env.reset(seed=0)
    clocks = [observation[-1]]
    for t in range(1, 6):
        observation, _, terminated, truncated, _ = env.step(1)
        clocks.append(observation[-1])
        assert terminated == (t == 5)
        assert truncated is False
    assert clocks == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])


def test_the_problem_is_public():
    env = gymnasium.make("TokenTask-Tiny-v0").unwrapped
    with pytest.raises(ResetNeeded):
        _ = env.problem
    env.reset(seed=0)
    problem = env.problem
    assert isinstance(problem.start, int)
    assert problem.meanings.shape == (8, 16)
    assert problem.weights.shape == problem.message.shape == (8,)
    assert env.language.vocab_size == 64


@pytest.mark.parametrize("action", [-1, 64, 1.0, np.float32(3), "a", None, [1], np.array([1, 2]), True])
def test_an_action_that_is_no_token_is_refused(action):
    env = TokenEnv(vocab_size=64)
    env.reset(seed=0)
    with pytest.raises(InvalidAction, match=r"63"):
        env.step(action)


def test_a_step_before_reset_or_after_the_end_is_refused():
    env = TokenEnv(vocab_size=64, max_steps=1)
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(0)
    env.reset()
    env.step(0)
    with pytest.raises(ResetNeeded, match="reset"):
        env.step(0)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"vocab_size": 1}, "vocab_size is 1; it must be at least 2"),
        ({"vocab_size": 10.0}, "vocab_size is an integer"),
        ({"max_steps": 0}, "max_steps is 0"),
        ({"noise": -0.1}, "noise is -0.1"),
        ({"noise": float("nan")}, "finite"),
        ({"message_vocab": 2000}, "from 2 to 1000"),
        ({"num_problems": 0}, "num_problems"),
        ({"split": "tests"}, "Did you mean 'test'"),
        ({"reward": "dnse"}, "Did you mean 'dense'"),
        ({"observation": "feature"}, "Did you mean 'features'"),
        ({"vocabsize": 10}, "Did you mean 'vocab_size'"),
        ({"discount": 1.5}, "from 0 to 1"),
        ({"lookahead": True}, "lookahead is an integer"),
        ({"render_mode": "rgb"}, "Did you mean 'rgb_array'"),
        ({"language": 3}, "language is a name"),
        ({"vocab_size": np.float64(10)}, "vocab_size is an integer"),
        ({"noise": "0.3"}, "noise is a finite number"),
    ],
)
def test_wrong_keywords_are_refused(keywords, message):
    with pytest.raises(SettingError, match=message):
        TokenEnv(**keywords)


@pytest.mark.parametrize(("options", "message"), [({"problem": 3}, "Did you mean"), ({"problem_id": -1}, "outside")])
def test_wrong_reset_options_are_refused(options, message):
    with pytest.raises(SettingError, match=message):
        TokenEnv(vocab_size=64).reset(options=options)


def test_ansi_shows_the_message_what_is_due_and_what_was_said():
    env = TokenEnv(render_mode="ansi", vocab_size=64, max_steps=4)
    env.reset(seed=0)
    for token in (3, 9):
        env.step(token)
    picture = env.render()
    words = [env.language.surface[token] for token in env.problem.message]
    header, message, said, totals = without_colours(picture).split("\n")
    assert message.split() == ["message", *words]
    assert [word.rstrip("!") for word in said.split()] == ["said", *(env.language.surface[t] for t in (3, 9)), "·", "·"]
    assert "step 2 of 4" in header
    assert "return" in totals
    assert f"\x1b[7m{words[2]}\x1b[0m" in picture  # the word that is due


def test_the_colour_tells_how_near_the_meaning_is():
    env = TokenEnv(render_mode="ansi", vocab_size=64, max_steps=1, noise=0.0)
    env.reset(seed=0)
    env.step(int(env.problem.message[0]))
    assert "\x1b[38;5;34m" in env.render()
    env.reset(options={"problem_id": 5})
    env.step(int((env.language.meaning @ env.problem.meanings[0]).argmin()))
    assert "\x1b[38;5;160m" in env.render()


def test_a_token_beyond_the_budget_is_marked():
    env = TokenEnv(render_mode="ansi", vocab_size=64, max_steps=2)
    env.reset(seed=0)
    surprisal = env.language.surprisals(np.array([env.problem.start]))[0]
    env.step(int(surprisal.argmax()))
    assert f"{env.language.surface[surprisal.argmax()]}!" in without_colours(env.render())
    env.reset(seed=0)
    env.step(int(surprisal.argmin()))
    assert "!" not in without_colours(env.render())


def test_human_prints_at_every_step(capsys):
    env = TokenEnv(render_mode="human", vocab_size=64, max_steps=2)
    env.reset(seed=0)
    env.step(0)
    assert capsys.readouterr().out.count("message") == 2


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(token_env.env).failed == 0
    assert doctest.testmod(token_env.env).attempted > 0
