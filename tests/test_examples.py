"""The programs in examples/ do what they say, in a short form."""

import re
from pathlib import Path

import numpy as np

from examples import (
    behaviour_cloning,
    monte_carlo,
    own_environment,
    own_study,
    own_text,
    plain_loop,
    reinforce,
    stock_sb3,
)
from token_env import REFERENCES, Task, write_episodes

EXAMPLES = Path(__file__).parent.parent / "examples"


def test_the_plain_loop_earns_more_with_fluent_tokens(capsys):
    means = plain_loop.main(episodes=2)
    assert means["any token"] < -60 < -5 < means["fluent tokens"]
    assert "fluent tokens: mean return" in capsys.readouterr().out


def test_stock_ppo_learns_and_stands_beside_the_reference_policies(capsys):
    means = stock_sb3.main(steps=2_048, problems=10)
    assert means["PPO, trained"] > means["PPO, untrained"] + 10
    assert means["random"] < means["fluent"] < means["greedy"]
    shown = capsys.readouterr().out
    assert all(name in shown for name in means)


def test_reinforce_learns():
    means = reinforce.main(updates=60)
    assert np.mean(means[-5:]) > np.mean(means[:5]) + 4


def test_a_clone_of_lookahead_stands_beside_ppo_and_lookahead(capsys):
    scores = behaviour_cloning.main(episodes=200, epochs=15, problems=50)
    assert max(0, scores["PPO"]) < scores["clone"] < scores["lookahead"]
    assert "200 episodes" in capsys.readouterr().out


def test_a_dataset_in_a_folder_is_cloned(tmp_path, capsys):
    write_episodes(REFERENCES["verbatim"], range(20), tmp_path / "d", task=Task(vocab_size=32, max_steps=4))
    assert set(behaviour_cloning.main(str(tmp_path / "d"), epochs=1, problems=5)) == {"clone", "PPO", "lookahead"}
    assert "20 episodes" in capsys.readouterr().out


def test_monte_carlo_rollouts_plan_better_than_chance(capsys):
    scores = monte_carlo.main(problems=3, rollouts=2)
    assert scores["Monte-Carlo planning"] > 0.8 > 0.5 > scores["random fluent tokens"]
    assert capsys.readouterr().out.count("on 3 problems") == 2


def test_a_text_becomes_a_language_that_is_played(text_file, capsys):
    language = own_text.main(str(text_file), vocab_size=12, episodes=1)
    assert language.surface[0] == "the"
    shown = capsys.readouterr().out
    assert "is near" in shown
    for line in re.findall(r"^(?:message|greedy) +(.*)$", shown, re.MULTILINE):
        assert set(line.split()) <= set(language.surface)


def test_without_a_file_pythons_documentation_is_the_text(capsys):
    assert "exception" in own_text.main(vocab_size=300, episodes=1).surface
    assert capsys.readouterr().out.count("message") >= 1


def test_a_study_of_ones_own_begins_with_the_preset_and_has_a_parameter_more(capsys):
    study = own_study.main(trials=2, episodes=16)
    assert study.trials[0].params["learning_rate"] == 5e-3
    assert all(trial.params["width"] in (32, 64) for trial in study.trials)
    assert "score" in capsys.readouterr().out


def test_on_an_environment_of_ones_own_both_policies_are_trained_saved_and_loaded(capsys):
    rewards = own_environment.main(items=1_000, steps=1_024)
    assert all(-1 < reward < 1 for reward in rewards.values())
    shown = capsys.readouterr().out
    assert (
        len(
            re.findall(
                r"^(?:MlpPolicy|FastActorCriticPolicy) .* steps per CPU second .* [+-]0\.\d\d$", shown, re.MULTILINE
            )
        )
        == 2
    )


def test_every_example_says_how_to_run_it_and_is_listed():
    listed = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    for file in EXAMPLES.glob("*.py"):
        for text in (listed, file.read_text(encoding="utf-8")):
            assert f"python -m examples.{file.stem}" in text
