import json
import shlex
from pathlib import Path

import pytest

import agents
from agents.runs import run_dir
from agents.runs.json_files import write_json
from token_env import SettingError


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "file.json"
    write_json(path, {"old": 1})

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full_disk)
    with pytest.raises(OSError, match="No space"):
        write_json(path, {"new": 2})
    assert json.loads(path.read_text()) == {"old": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["file.json"]


def test_a_line_torn_by_a_crash_is_left_out(tmp_path):
    (tmp_path / run_dir.EPISODES).write_text('{"episode": 1, "return": 0.5}\n{"episode": 2, "ret')
    (tmp_path / run_dir.UPDATES).write_text("")
    metrics = agents.load_metrics(tmp_path)
    assert metrics.episodes.to_dict("records") == [{"episode": 1, "return": 0.5}]
    assert metrics.updates.empty


def test_a_damaged_line_is_named(tmp_path):
    (tmp_path / run_dir.EPISODES).write_text('{"episode": 1}\n{"epis\n{"episode": 3}\n')
    with pytest.raises(SettingError, match=r"line 2 of '.*episodes.jsonl' is damaged"):
        agents.load_metrics(tmp_path)


@pytest.mark.parametrize("name", ["-rdash", "--out=x", "two words", "it's", "runs/first"])
def test_a_path_in_a_command_to_type_is_one_word_and_no_option(name):
    words = shlex.split(f"evaluate {run_dir.as_typed(Path(name))}")
    assert not words[1].startswith("-")
    assert [Path(word) for word in words[1:]] == [Path(name)]


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(SettingError, match="no finished run"):
        agents.load(tmp_path)
    with pytest.raises(SettingError, match="there is no directory"):
        agents.load(tmp_path / "nowhere")
    with pytest.raises(SettingError, match="is it a run"):
        agents.load_metrics(tmp_path)
