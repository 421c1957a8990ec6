"""A stranger's model: what is damaged, half-written or malicious is refused, and nothing of it is ever executed."""

import dataclasses
import io
import json
import os
import pickle
import shutil
import subprocess
import zipfile

import numpy as np
import pytest
import safetensors.torch
import torch

import agents
from agents.algorithms.table import ALGORITHMS
from agents.runs import checksums, model_files, run_dir
from agents.runs.json_files import MAX_BYTES, write_json
from agents.runs.language_file import language_bytes, read_language
from agents.runs.weights import unique_weights
from agents.settings.layers import make_settings, preset_layer
from tests.support.models import Bomb, saved
from token_env import SettingError
from token_env.languages.synthetic import synthetic
from token_env.languages.text import from_words

FILES = (run_dir.MODEL, run_dir.WEIGHTS, run_dir.LANGUAGE)


@pytest.fixture
def run(tmp_path):
    """A model with a language of its own."""
    return saved(tmp_path / "run", env={"language": "english"})


def resum(path):
    """Let the checksums be those of the files as they are now, as an attacker would."""
    checksums.write(path, [name for name in FILES if (path / name).exists()])


def change(path, **entries):
    """Say something else in the description of a model; `None` leaves an entry out."""
    description = json.loads((path / run_dir.MODEL).read_text()) | entries
    write_json(path / run_dir.MODEL, {name: value for name, value in description.items() if value is not None})
    resum(path)


def settings_of(path, **layer):
    described = json.loads((path / run_dir.MODEL).read_text())["settings"]
    for section, values in layer.items():
        described[section] |= values
    return described


def refused(path, message):
    with pytest.raises(SettingError, match=message):
        agents.load(path)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("head", ["stock", "fast", "tied"])
def test_a_whole_model_is_loaded_with_the_weights_it_was_saved_with(tmp_path, algorithm, head):
    path = saved(tmp_path / "run", algorithm=algorithm, policy={"head": head})
    kept = safetensors.torch.load((path / run_dir.WEIGHTS).read_bytes())
    loaded = unique_weights(agents.load(path).policy)
    assert kept.keys() == loaded.keys()
    for name, tensor in kept.items():
        torch.testing.assert_close(loaded[name], tensor, rtol=0, atol=0)


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="sha256sum is not installed; type apt-get install coreutils")
def test_the_checksums_are_those_of_coreutils(run):
    out = subprocess.run(["sha256sum", "--check", "--strict", run_dir.CHECKSUMS], cwd=run, capture_output=True)
    assert out.returncode == 0
    assert out.stdout.count(b": OK") == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_one_changed_byte_is_noticed(run, name):
    content = bytearray((run / name).read_bytes())
    content[-5] ^= 1
    (run / name).write_bytes(content)
    refused(run, rf"{name}' is damaged or was modified|cannot read .*{name}")


@pytest.mark.parametrize("name", [*FILES, run_dir.CHECKSUMS])
def test_a_model_of_which_a_file_is_missing_is_refused(run, name):
    (run / name).unlink()
    refused(run, f"no finished run: it has no {name}")


@pytest.mark.parametrize("fails_at", range(1, 5))
def test_a_save_that_was_cut_off_is_no_model(tmp_path, monkeypatch, fails_at):
    calls = []

    def dies(handle):
        calls.append(handle)
        if len(calls) == fails_at:
            raise KeyboardInterrupt

    monkeypatch.setattr("token_env.files.os.fsync", dies)
    with pytest.raises(KeyboardInterrupt):
        saved(tmp_path / "run", env={"language": "english"})
    refused(tmp_path / "run", "no finished run")


@pytest.mark.parametrize("name", FILES)
def test_a_pickle_in_the_place_of_any_file_is_not_executed(run, name, tmp_path):
    marker = tmp_path / "executed"
    (run / name).write_bytes(pickle.dumps(Bomb(marker)))
    resum(run)
    refused(run, "cannot read")
    assert not marker.exists()
    pickle.loads((run / name).read_bytes())  # the bomb is none if this does nothing
    assert marker.exists()


def test_torchs_and_numpys_files_with_pickles_in_them_are_not_executed(run, tmp_path):
    marker = tmp_path / "executed"
    torch.save({"action_net.bias": Bomb(marker)}, run / run_dir.WEIGHTS)
    np.savez(run / "language.npz", surface=np.array([Bomb(marker)], dtype=object))
    (run / "language.npz").rename(run / run_dir.LANGUAGE)
    (run / "policy.pkl").write_bytes(pickle.dumps(Bomb(marker)))
    resum(run)
    refused(run, "cannot read the weights")
    shutil.copy(saved(tmp_path / "other", env={"language": "english"}) / run_dir.WEIGHTS, run)
    resum(run)
    refused(run, "cannot read the language")
    assert not marker.exists()


@pytest.mark.parametrize("name", [run_dir.WEIGHTS, run_dir.LANGUAGE])
def test_archives_and_headers_that_would_inflate_are_refused(run, name):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("context.npy", bytes(50_000_000))
    for content in (bomb.getvalue(), header({"context": tensor(10**12)}), header({"context": tensor(10**30)})):
        assert len(content) < 100_000
        (run / name).write_bytes(content)
        resum(run)
        refused(run, "cannot read the")


def tensor(count, start=0, size=4):
    return {"dtype": "F32", "shape": [count], "data_offsets": [start, start + size * count]}


def header(entries, data=b""):
    text = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(text).to_bytes(8, "little") + text + data


def test_a_description_nested_without_end_is_refused(run):
    (run / run_dir.MODEL).write_text("[" * 500_000)
    refused(run, "cannot read")
    settings = make_settings(preset_layer("tiny")).to_dict()
    nested = json.dumps({"format": 3, "settings": settings}).replace(
        '"ppo"', '"x":' + "[" * 5000 + "]" * 5000 + ',"ppo"'
    )
    (run / run_dir.MODEL).write_text(nested)
    resum(run)
    refused(run, "cannot read|unknown setting")


@pytest.mark.parametrize(
    "layer",
    [
        {"env": {"vocab_size": 10**9}},
        {"env": {"lookahead": 10**9, "max_steps": 10**9}},
        {"policy": {"hidden": [10**6, 10**6]}},
        {"policy": {"hidden": [10**9]}},
        {"policy": {"embedding": 10**9}, "env": {"observation": "tokens"}},
        {"recurrent_ppo": {"lstm_hidden_size": 10**6}},
    ],
)
def test_settings_larger_than_the_weights_are_refused_before_anything_is_made_of_them(tmp_path, layer, monkeypatch):
    algorithm = "recurrent-ppo" if "recurrent_ppo" in layer else "ppo"
    path = saved(tmp_path / "run", algorithm=algorithm, policy={"head": "fast"})
    change(path, settings=settings_of(path, **layer))
    monkeypatch.setattr(model_files, "build_policy", lambda *arguments: pytest.fail("it was built"))
    monkeypatch.setattr(model_files, "Dynamics", lambda *arguments: pytest.fail("it was built"))
    refused(path, "do not match the policy")


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "model.json/../../outside", "other.safetensors"])
def test_a_file_outside_the_model_is_never_opened(run, name):
    os.mkfifo(run.parent / "outside")  # to open it would wait for ever
    os.mkfifo(run / "other.safetensors")
    with (run / run_dir.CHECKSUMS).open("a") as sums:
        sums.write(f"{'0' * 64}  {name}\n")
    refused(run, f"lists '{name}', which is no model file")


def test_a_text_or_run_that_the_settings_name_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "text")
    path = saved(tmp_path / "run")
    change(path, settings=settings_of(path, env={"language": f"text:{tmp_path / 'text'}"}))
    refused(path, f"{run_dir.LANGUAGE} is missing")


@pytest.mark.parametrize("name", [run_dir.MODEL, run_dir.WEIGHTS, run_dir.CHECKSUMS])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(run, name):
    (run / name).unlink()
    os.mkfifo(run / name)
    refused(run, "must be a regular file")


def test_a_file_that_is_too_large_is_not_read(run):
    with (run / run_dir.WEIGHTS).open("ab") as file:
        file.truncate(MAX_BYTES + 1)  # a hole, which takes no disk
    refused(run, "must be a regular file of at most")


def test_a_name_that_stands_twice_is_refused_everywhere(run):
    sums, model = (run / run_dir.CHECKSUMS).read_text(), (run / run_dir.MODEL).read_text()
    (run / run_dir.CHECKSUMS).write_text(sums + sums.splitlines()[0] + "\n")
    refused(run, "every name once")
    (run / run_dir.MODEL).write_text(model.replace('"format": 3', '"format": 3, "format": 3'))
    resum(run)
    refused(run, "has the key 'format' twice")
    (run / run_dir.MODEL).write_text(model)
    one = json.dumps(tensor(1))
    (run / run_dir.WEIGHTS).write_bytes(header(f'{{"a": {one}, "a": {one}}}'.encode(), bytes(4)))
    resum(run)
    refused(run, "do not match the policy|cannot read the weights")


@pytest.mark.parametrize("line", ["", "text", "0" * 63 + "  model.json", "0" * 64 + " *model.json", "\xff\xfe"])
def test_checksums_that_are_none_are_refused(run, line):
    with (run / run_dir.CHECKSUMS).open("a") as sums:
        sums.write(line + "\n")
    refused(run, "a checksum and a file name on every line")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_neither_saved_nor_loaded(tmp_path, value):
    path = saved(tmp_path / "run")
    agent = agents.load(path)
    with torch.no_grad():
        agent.policy.mlp_extractor.head.slopes[1] = value
    (tmp_path / "new").mkdir()
    with pytest.raises(SettingError, match=r"not finite: mlp_extractor\.head\.slopes contains NaN or infinity"):
        model_files.save(tmp_path / "new", agent.settings, agent.dynamics, agent.policy)
    assert list((tmp_path / "new").iterdir()) == []
    (path / run_dir.WEIGHTS).write_bytes(safetensors.torch.save(unique_weights(agent.policy)))
    resum(path)
    refused(path, r"model.safetensors' are not finite")


@pytest.mark.parametrize("kind", ["shape", "name", "type"])
def test_weights_of_another_policy_are_refused(tmp_path, kind):
    path = saved(tmp_path / "run")
    weights = safetensors.torch.load((path / run_dir.WEIGHTS).read_bytes())
    weight = weights.pop("value_net.weight")
    weights |= {
        "shape": {"value_net.weight": torch.zeros(1, 7)},
        "name": {"value_nets.weight": weight},
        "type": {"value_net.weight": weight.double()},
    }[kind]
    (path / run_dir.WEIGHTS).write_bytes(safetensors.torch.save(weights))
    resum(path)
    refused(path, "do not match the policy")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, r"has format version 2; .* train it again, type python -m agents.train"),
        ({"format": 4}, "has format version 4"),
        ({"format": None}, "has format version None"),
        ({"language": "0" * 64}, "differs from the one that the model was trained on"),
        ({"settings": {"episodse": 1}}, "unknown setting"),
        ({"settings": {"algorithm": "os.system"}}, "unknown algorithm"),
        ({"settings": [1]}, "contains no settings"),
        ({"settings": None}, "contains no settings"),
    ],
)
def test_a_description_of_something_else_is_refused(run, changes, message):
    change(run, **changes)
    refused(run, message)


def test_a_model_from_before_checksums_is_told_from_a_half_written_one(run):
    change(run, format=1)
    (run / run_dir.CHECKSUMS).unlink()
    refused(run, "has format version")


def test_a_language_survives_its_file():
    language = from_words(["the", "cat", "and", "the", "dog", "and", "the", "bird", "saw", "the", "cat"] * 5, 6)
    loaded = read_language(language_bytes(language), "a run")
    assert loaded.fingerprint == language.fingerprint
    assert loaded.surface == language.surface
    for name in ("log_unigram", "context", "output", "meaning"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(language, name))


def test_arrays_that_lie_otherwise_in_memory_survive_too():
    language = synthetic(5)
    turned = dataclasses.replace(language, output=np.asfortranarray(language.output))
    object.__setattr__(turned, "output", np.asfortranarray(language.output))
    np.testing.assert_array_equal(read_language(language_bytes(turned), "a run").output, language.output)


def test_a_damaged_language_is_refused():
    language = synthetic(5)
    other = dataclasses.replace(language, surface=("a b c d\ne", *language.surface[1:]))
    more = safetensors.torch.save({"x": torch.zeros(1)})
    for content in (language_bytes(language)[:-40], b"", b"text", language_bytes(other), more):
        with pytest.raises(SettingError, match="cannot read the language 'a run'"):
            read_language(content, "a run")
