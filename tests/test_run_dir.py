import dataclasses
import json

import numpy as np
import pytest

import agents
from agents import run_dir
from agents.checkpoints import language_bytes, load, read_language
from agents.settings import make_settings
from token_env import SettingError
from token_env.synthetic import synthetic
from token_env.text import from_words


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.chmod", "pathlib.Path.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, call):
    path = tmp_path / "file.json"
    run_dir.write_json(path, {"old": 1})

    def full_disk(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(call, full_disk)
    with pytest.raises(OSError, match="No space"):
        run_dir.write_json(path, {"new": 2})
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


def test_a_language_survives_its_archive(tmp_path):
    language = from_words(["the", "cat", "and", "the", "dog", "and", "the", "bird", "saw", "the", "cat"] * 5, 6)
    path = tmp_path / "language.npz"
    path.write_bytes(language_bytes(language))
    loaded = read_language(path)
    assert loaded.fingerprint == language.fingerprint
    assert loaded.surface == language.surface
    for name in ("log_unigram", "context", "output", "meaning"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(language, name))


def test_a_damaged_language_is_refused(tmp_path):
    path = tmp_path / "language.npz"
    for content in (language_bytes(synthetic(5))[:-40], b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(SettingError, match="cannot read the language"):
            read_language(path)
    language = synthetic(5)
    path.write_bytes(language_bytes(dataclasses.replace(language, surface=("a b c d\ne", *language.surface[1:]))))
    with pytest.raises(SettingError, match="V words"):
        read_language(path)


def write_model(path, **changes):
    description = {"format": 1, "settings": make_settings({"env": {"vocab_size": 64}}).to_dict()}
    description |= {"language": synthetic(64).fingerprint} | changes
    run_dir.write_json(path / run_dir.MODEL, description)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "another version"),
        ({"language": "0" * 64}, "is not the one its model was trained on"),
        ({"settings": {"episodse": 1}}, "unknown setting"),
        ({"settings": None}, "is not the one its model was trained on"),
        ({}, "cannot read the weights"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_refused(tmp_path, changes, message):
    write_model(tmp_path, **changes)
    with pytest.raises(SettingError, match=message):
        load(tmp_path)


def test_weights_of_another_shape_are_refused(tmp_path):
    import safetensors.numpy

    write_model(tmp_path)
    (tmp_path / run_dir.WEIGHTS).write_bytes(safetensors.numpy.save({"x": np.zeros(3)}))
    with pytest.raises(SettingError, match="do not fit"):
        load(tmp_path)


def test_a_directory_without_a_run_is_refused(tmp_path):
    with pytest.raises(SettingError, match="no finished run"):
        load(tmp_path)
    with pytest.raises(SettingError, match="is it a run"):
        agents.load_metrics(tmp_path)
