import json
import os
import re
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch

import agents
from agents.evaluation.scores import evaluate_agent, make_scores
from agents.evaluation.statistics import problem_interval, running_mean
from agents.machine.usage import peak_memory_mb
from agents.runs import run_dir
from agents.settings.layers import make_settings, preset_layer, read_layer
from agents.training.build import environment_seed
from agents.training.fit import fit
from agents.training.recorder import Recorder
from tests.support.settings import PRESETS
from token_env import REFERENCES, Evaluation, SettingError, Task, evaluate

SHORT = {
    "device": "cpu",
    "episodes": 16,
    "ppo": {"n_envs": 4, "batch_size": 32, "n_epochs": 2},
    "evaluation": {"problems": 5},
}


def short_settings(**layer):
    return make_settings(preset_layer("tiny"), SHORT, layer)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run on a language fitted from a text, and its directory."""
    folder = tmp_path_factory.mktemp("runs")
    text = folder / "text.txt"
    text.write_text(" ".join(f"w{chr(97 + (i * i) % 23)} x{chr(97 + i % 19)}" for i in range(2000)), encoding="utf-8")
    env = {"language": f"text:{text}", "vocab_size": 30}
    result = fit(short_settings(env=env), folder / "run", progress=False)
    text.unlink()  # the run must not need it any more
    return result


# Every preset with PPO or the algorithm that it names, and every algorithm at the smallest size.
TRAINED = [(name, algorithm) for name, algorithm in PRESETS if algorithm == "ppo" or name == "tiny" or "/" in name]


@pytest.mark.parametrize(("name", "algorithm"), TRAINED)
def test_every_preset_trains(name, algorithm, tmp_path):
    chosen = {"algorithm": algorithm, "device": "cpu", "evaluation": {"problems": 2}}
    chosen |= {"ppo": {"n_epochs": 1}, "trpo": {"n_critic_updates": 1, "cg_max_steps": 1, "sub_sampling_factor": 10}}
    if name.startswith("reported/"):  # one environment: two episodes make a short rollout
        chosen["ppo"] |= {"n_steps": 2 * make_settings(read_layer(name)).env.max_steps}
    settings = make_settings(read_layer(name), chosen)
    section = settings.hyperparameters
    episodes = section.n_envs * section.n_steps // settings.env.max_steps
    result = fit(settings.model_copy(update={"episodes": episodes}), tmp_path / "run", progress=False)
    metrics = agents.load_metrics(result.run)
    assert len(metrics.episodes) == episodes
    assert len(metrics.updates) == 1
    assert np.isfinite(metrics.updates.loss).all()


def test_exactly_the_episodes_asked_for_are_played(finished):
    metrics = agents.load_metrics(finished.run)
    assert metrics.episodes.episode.tolist() == list(range(1, 17))
    assert metrics.episodes["return"].to_numpy() == pytest.approx(
        (metrics.episodes.adequacy - metrics.episodes.fluency_penalty).to_numpy()
    )
    assert finished.summary.mean_last_100 == pytest.approx(metrics.episodes["return"].mean())
    assert metrics.updates.episodes.tolist() == [4, 8, 12, 16]
    assert (metrics.updates.distinct_tokens > 1).all()


def test_a_run_leaves_everything_behind(finished):
    names = {path.name for path in finished.run.iterdir()}
    assert names == {
        "config.yaml", "run.json", "episodes.jsonl", "updates.jsonl", "model.json", "model.safetensors",
        "language.safetensors", "SHA256SUMS", "README.md", "summary.json", "learning_curve.png", "tensorboard",
        "checkpoints", "best",
    }  # fmt: skip
    provenance = json.loads((finished.run / "run.json").read_text())
    assert provenance["versions"]["torch"] == version("torch")
    assert (finished.run / "learning_curve.png").read_bytes()[:4] == b"\x89PNG"
    assert any((finished.run / "tensorboard").iterdir())


def test_the_configuration_of_a_run_trains_it_again(finished):
    assert make_settings(read_layer(str(finished.run / "config.yaml"))) == finished.agent.settings


def test_an_agent_is_loaded_with_its_language(finished):
    assert agents.load(finished.run).language.fingerprint == finished.agent.language.fingerprint


def test_the_summary_holds_the_evaluation_beside_the_reference_policies(finished):
    scores = json.loads((finished.run / "summary.json").read_text())["evaluation"]
    assert set(scores) == {"agent (greedy)", "agent (sampled)", *REFERENCES}
    assert scores["optimal"]["score"] == 1.0
    assert scores["greedy"]["score"] == pytest.approx(
        scores["greedy"]["mean_return"] / scores["greedy"]["mean_optimum"]
    )
    task = Task(vocab_size=30, max_steps=8, split="test", language=finished.agent.language)
    expected = evaluate(agents.load(finished.run).greedy, range(5), task=task)
    assert scores["agent (greedy)"]["mean_return"] == pytest.approx(expected.mean_return)
    assert scores["agent (greedy)"]["problems"] == 5


def test_sampled_scores_repeat_and_leave_the_generator_alone(finished):
    state = torch.random.get_rng_state()
    first, again = (evaluate_agent(finished.agent, "test", range(30)) for _ in range(2))
    assert first == again
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_half_width_is_that_of_the_bootstrap_over_problems():
    returns = np.array([1.0, 2.0, 4.0, 9.0])
    row = make_scores(
        Evaluation(np.arange(4), returns, np.zeros(4), np.zeros((4, 2), dtype=int), np.full(4, 2.0)), [None] * 4
    )
    assert row.half_width == problem_interval(returns).half_width
    alone = Evaluation(np.arange(1), returns[:1], np.zeros(1), np.zeros((1, 2), dtype=int), np.ones(1))
    assert make_scores(alone, [None] * 4).half_width is None


def test_the_recorder_keeps_the_last_hundred_episodes(tmp_path):
    recorder = Recorder(tmp_path)
    assert np.isnan(recorder.mean_return)
    for n in range(150):
        recorder.returns.append(float(n))
        recorder.last_tokens.append(np.array([n]))
    assert recorder.mean_return == np.mean(range(50, 150))
    assert len(recorder.last_tokens) == 100


def test_a_running_mean_is_that_of_the_last_values():
    assert running_mean([1.0, 3.0, 8.0, 4.0], 2).tolist() == [1.0, 2.0, 5.5, 6.0]
    assert running_mean([], 2).tolist() == []


def test_the_summary_tells_adequacy_by_rarity_and_what_the_agent_earns_on_problems_it_trained_on(finished):
    seen = finished.summary.training_problems
    ids = agents.load_metrics(finished.run).episodes.problem_id.tolist()[-5:]
    task = Task(vocab_size=30, max_steps=8, split="train", language=finished.agent.language)
    assert seen.mean_return == pytest.approx(evaluate(finished.agent.greedy, ids, task=task).mean_return)
    assert seen.problems == 5
    shares = finished.summary.evaluation["agent (greedy)"].adequacy_by_rarity
    assert len(shares) == 4


def test_a_run_tells_its_machine_its_revision_and_its_processor_time(finished):
    made = json.loads((finished.run / "run.json").read_text())
    assert made["machine"]["cores"] == os.cpu_count()
    assert made["machine"]["host"]
    assert made["machine"]["processor"]
    assert made["machine"]["torch_kernels"] == torch.backends.cpu.get_cpu_capability()
    assert made["load"] >= 0
    assert finished.summary.load_at_end >= 0
    assert (made["machine"]["device"], made["machine"]["device_reason"]) == ("cpu", "as asked")
    root = Path(__file__).parents[3]
    if (root / ".git").exists():
        head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=True)
        assert head.stdout.startswith(made["revision"].removesuffix("-dirty"))
    else:
        assert made["revision"] is None
    assert 0 < finished.summary.cpu_seconds < 100


def test_the_peak_of_memory_is_that_of_the_process(finished):
    status = Path("/proc/self/status").read_text()
    told = {name: int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) * 1024 / 1e6 for name in ("VmHWM", "VmRSS")}
    assert finished.summary.peak_memory_mb <= told["VmHWM"] + 0.1  # the process may have grown since
    assert finished.summary.peak_memory_mb > told["VmRSS"] / 3  # and shrunk
    assert peak_memory_mb() == pytest.approx(told["VmHWM"], rel=0.01)


def test_observations_reach_the_policy_in_float32(finished, monkeypatch):
    seen = []
    policy = finished.agent.policy
    convert = policy.obs_to_tensor
    monkeypatch.setattr(policy, "obs_to_tensor", lambda obs: (seen.append(obs.dtype), convert(obs))[1])
    finished.agent.predict(np.zeros((3, policy.observation_space.shape[0])))
    assert seen == [np.float32]


def test_predict_takes_one_observation_or_many_as_sb3s_does(finished):
    batch = np.zeros((3, finished.agent.policy.observation_space.shape[0]))  # float64, which is cast
    assert finished.agent.predict(batch)[0].shape == (3,)
    assert finished.agent.predict(batch[0])[0].shape == ()
    assert len({int(finished.agent.predict(batch[0], deterministic=False)[0]) for _ in range(50)}) > 1


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path):
    runs = [fit(short_settings(seed=seed), tmp_path / str(n), progress=False).run for n, seed in enumerate((1, 1, 2))]
    weights = [(run / run_dir.WEIGHTS).read_bytes() for run in runs]
    assert weights[0] == weights[1] != weights[2]
    problems = [set(agents.load_metrics(run).episodes.problem_id) for run in runs]
    assert problems[0] == problems[1]
    assert not problems[0] & problems[2]


def test_neighbouring_seeds_share_no_environment_seeds():
    seeds = sorted(environment_seed(seed) for seed in range(200))
    assert np.diff(seeds).min() > 1024


def test_training_plays_the_train_split_under_the_agents_discount(tmp_path, monkeypatch):
    seen = {}

    def recorded(num_envs, **keywords):
        seen.update(keywords)
        raise SettingError("stop")

    monkeypatch.setattr("agents.algorithms.models.TokenVecEnv", recorded)
    with pytest.raises(SettingError, match="stop"):
        fit(short_settings(env={"reward": "potential"}, ppo={"gamma": 0.75}), tmp_path / "run")
    assert (seen["split"], seen["discount"]) == ("train", 0.75)


def test_the_discount_is_the_agents_and_recorded(tmp_path):
    run = fit(short_settings(ppo={"gamma": 0.75}), tmp_path / "run", progress=False).run
    assert agents.load(run).task.discount == 0.75
    assert make_settings(read_layer(str(run / "config.yaml"))).env.discount == 0.75
    with pytest.raises(SettingError, match=r"env.discount=0.3 differs from ppo.gamma=0.75"):
        fit(short_settings(ppo={"gamma": 0.75}, env={"discount": 0.3}), tmp_path / "other")


def test_the_path_of_a_text_is_recorded_whole(finished):
    assert Path(finished.agent.settings.env.language.removeprefix("text:")).is_absolute()


def test_ctrl_c_during_the_evaluation_keeps_the_run(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("agents.training.finish.evaluate_references", interrupted)
    result = fit(short_settings(), tmp_path / "run", progress=False)
    assert result.interrupted == signal.SIGINT
    summary = json.loads((result.run / "summary.json").read_text())
    assert (summary["status"], summary["episodes"]) == ("interrupted", 16)
    assert (result.run / "learning_curve.png").exists()
    assert agents.load(result.run).settings == result.agent.settings


def test_nothing_is_written_when_a_run_cannot_begin(tmp_path):
    for layer in ({"episodes": 17}, {"device": "tpu"}, {"env": {"language": "text:/none"}}):
        with pytest.raises(SettingError):
            fit(short_settings(**layer), tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_an_existing_directory_is_refused_and_left_alone(tmp_path):
    (tmp_path / "note").write_text("mine")
    with pytest.raises(SettingError, match="exists already"):
        fit(short_settings(), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["note"]
