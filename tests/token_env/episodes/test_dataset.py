import dataclasses
import subprocess
import sys
from types import SimpleNamespace

import minari
import numpy as np
import pytest

from token_env import REFERENCES, SIZES, SettingError, Task, evaluate, write_episodes
from token_env.episodes import dataset as dataset_module
from token_env.languages.synthetic import synthetic

TINY = Task(**SIZES["tiny"])


def read(folder):
    return minari.MinariDataset(folder / "data")


def metadata(dataset):
    return list(dataset.storage.get_episode_metadata(range(len(dataset))))


def command(*words, cwd):
    return subprocess.run([sys.executable, "-m", "token_env.episodes", *words], cwd=cwd, capture_output=True, text=True)


@pytest.fixture(scope="module")
def lookahead(tmp_path_factory):
    """More episodes than one batch holds."""
    folder = tmp_path_factory.mktemp("datasets") / "lookahead-v3"
    return folder, write_episodes(REFERENCES["lookahead"], range(300), folder, task=TINY)


def test_the_dataset_has_the_episodes_of_the_evaluation(lookahead):
    folder, results = lookahead
    dataset = read(folder)
    expected = evaluate(REFERENCES["lookahead"], range(300), task=dataclasses.replace(TINY, optimum=True))
    assert (dataset.id, dataset.total_episodes, dataset.total_steps) == ("lookahead-v3", 300, 2400)
    assert dataset.storage.metadata["algorithm_name"] == "lookahead"
    for episode, about in zip(dataset, metadata(dataset), strict=True):
        row = episode.id
        assert episode.observations.shape == (9, 51)
        assert episode.observations.dtype == np.float32
        assert episode.terminations.tolist() == [False] * 7 + [True]
        assert not episode.truncations.any()
        np.testing.assert_array_equal(episode.actions, expected.actions[row])
        assert about["options"] == {"problem_id": row}
        assert about["return"] == expected.returns[row] == pytest.approx(episode.rewards.sum(), abs=1e-12)
        assert about["optimal_return"] == expected.optimal_returns[row]
        assert about["score"] == expected.returns[row] / expected.optimal_returns[row]
    for ours, theirs in zip(results, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"split": "test", "noise": 0.1, "lookahead": 2, "optimum": True},
        {"observation": "tokens", "language": "english"},
        {"reward": "potential", "discount": 0.9},
        {"reward": "exact", "message_vocab": 20, "num_problems": 40},
    ],
)
def test_the_recovered_environment_repeats_the_episodes(changes, tmp_path):
    task = dataclasses.replace(TINY, **changes)
    write_episodes(REFERENCES["random"], [7, 3, 30], tmp_path / "d", task=task)
    dataset = read(tmp_path / "d")
    env = dataset.recover_environment()
    assert env.unwrapped.task == task
    assert env.observation_space == dataset.observation_space
    for episode, about in zip(dataset, metadata(dataset), strict=True):
        observations, rewards = [env.reset(options=about["options"])[0]], []
        for action in episode.actions:
            observation, reward, terminated, truncated, info = env.step(action)
            observations.append(observation)
            rewards.append(reward)
        np.testing.assert_array_equal(episode.observations, observations)
        np.testing.assert_array_equal(episode.rewards, rewards)
        assert (terminated, truncated) == (True, False)
        assert info["problem_id"] == about["options"]["problem_id"]


def test_another_process_recovers_the_environment_without_importing_the_package(lookahead):
    folder, _ = lookahead
    code = f"import minari; print(minari.MinariDataset({str(folder / 'data')!r}).recover_environment())"
    out = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert "TokenEnv<TokenTask-v0>" in out.stdout, out.stderr


def test_minaris_own_folder_finds_a_dataset_by_its_name(lookahead, monkeypatch):
    folder, _ = lookahead
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(folder.parent))
    assert len(minari.load_dataset("lookahead-v3")) == 300
    assert list(minari.list_local_datasets()) == ["lookahead-v3"]


def test_any_policy_is_written_under_a_name(tmp_path):
    write_episodes(lambda seen: np.zeros(len(seen), dtype=int), [0], tmp_path / "of zeros", task=TINY, algorithm="zero")
    dataset = read(tmp_path / "of zeros")
    assert (dataset.id, dataset.storage.metadata["algorithm_name"]) == ("of-zeros-v0", "zero")
    assert dataset[0].actions.tolist() == [0] * 8


def test_the_command_writes_and_says_how_to_read(tmp_path):
    line = "greedy --size tiny --split test --problems 3 --out new/greedy"
    out = command(*line.split(), cwd=tmp_path)
    assert out.returncode == 0, out.stderr
    assert out.stdout.startswith("new/greedy: 3 episodes of 8 steps, mean return +")
    assert "minari.MinariDataset('new/greedy/data')" in out.stdout
    assert read(tmp_path / "new" / "greedy").recover_environment().unwrapped.task.split == "test"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["greedy"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("greed", "Did you mean 'greedy'?"),
        ("greedy --size tinny", "Did you mean 'tiny'?"),
        ("greedy --problems 0", "at least 1"),
        ("greedy --split tests", "Did you mean 'test'?"),
        ("greedy --language text:none.txt", "none.txt"),
        ("greedy --out taken", "'taken' exists already; type a new folder"),
        ("greedy --out file/new", "cannot write 'file/new'"),
    ],
)
def test_wrong_input_gives_one_message_exit_code_2_and_no_file(words, message, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "file").touch()
    out = command("--out", "new", "--size", "tiny", *words.split(), cwd=tmp_path)
    assert out.returncode == 2
    assert out.stderr.startswith("error: ")
    assert message in out.stderr
    assert out.stderr.count("\n") == 1
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "taken"]


@pytest.mark.parametrize("free", [[1_000], [10**9, 1_000]])
def test_a_disk_that_is_too_full_is_refused_before_hdf5_meets_its_end(free, tmp_path, monkeypatch):
    answers = iter(free)
    monkeypatch.setattr(dataset_module.shutil, "disk_usage", lambda folder: SimpleNamespace(free=next(answers)))
    with pytest.raises(SettingError, match=r"are needed, 0 MB are free; type another folder"):
        write_episodes(REFERENCES["greedy"], range(300), tmp_path / "d", task=TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", ["tiny", "stable"])
def test_the_space_asked_for_is_enough(size, tmp_path, monkeypatch):
    asked, task = [], Task(**SIZES[size])
    monkeypatch.setattr(dataset_module, "_check_space", lambda folder, needed: asked.append(needed))
    write_episodes(REFERENCES["verbatim"], range(50), tmp_path / "d", task=task)
    assert asked == [50 * dataset_module.episode_bytes(task), 0]
    written = sum(path.stat().st_size for path in (tmp_path / "d").rglob("*") if path.is_file())
    assert 1 < asked[0] / written < 2


def test_a_policy_that_fails_leaves_nothing(tmp_path):
    def fail(seen):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        write_episodes(fail, [0], tmp_path / "d", task=TINY)
    assert not list(tmp_path.iterdir())


def test_what_a_file_cannot_name_is_refused(tmp_path):
    for change, message in (({"language": synthetic(64)}, "language"), ({"reward": lambda t: t.adequacy}, "reward")):
        with pytest.raises(SettingError, match=f"names the {message}"):
            write_episodes(REFERENCES["greedy"], [0], tmp_path / "d", task=dataclasses.replace(TINY, **change))
    with pytest.raises(SettingError, match="problem id"):
        write_episodes(REFERENCES["greedy"], [-1], tmp_path / "d", task=TINY)
    assert not list(tmp_path.iterdir())


def test_without_minari_the_message_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(dataset_module, "find_spec", lambda name: None)
    with pytest.raises(SettingError, match=r"pip install -c constraints.txt '.\[minari\]'"):
        write_episodes(REFERENCES["greedy"], [0], tmp_path / "d", task=TINY)
