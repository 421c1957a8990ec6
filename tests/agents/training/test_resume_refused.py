"""A run is not resumed where its settings, files or directory do not allow it, and is left as it was."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from agents.runs import run_dir
from agents.runs.checkpoints import (
    Checkpoint,
    checkpoint_files,
    last_checkpoint,
    write_checkpoint,
)
from agents.training.resume import resume
from token_env import SettingError


def contents(run):
    return {path: path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}


def refused(run, match, *changes, **options):
    """Resuming is refused, and everything is as it was."""
    before = contents(run)
    with pytest.raises(SettingError, match=match):
        resume(run, *changes, progress=False, **options)
    assert contents(run) == before


def test_changed_settings_are_named_and_refused(killed):
    refused(
        killed,
        r"settings differ .*: ppo\.learning_rate=0\.1 \(was 0\.005\); .*--allow-change",
        {"ppo": {"learning_rate": 0.1}},
    )
    refused(killed, r"env\.noise cannot change when resuming", {"env": {"noise": 0.1}}, allow_change=True)
    refused(killed, r"policy\.hidden cannot change", {"policy": {"hidden": [8]}}, allow_change=True)
    refused(killed, r"algorithm cannot change", {"algorithm": "a2c"}, allow_change=True)
    refused(killed, r"ppo\.n_envs cannot change", {"ppo": {"n_envs": 4}}, allow_change=True)
    refused(killed, r"played \d+ episodes; type --episodes \d+ or more, not 8", {"episodes": 8}, allow_change=True)


def test_a_changed_configuration_file_is_noticed(killed):
    file = killed / run_dir.CONFIG
    file.write_text(file.read_text().replace("ent_coef: 0.003", "ent_coef: 0.1"))
    refused(killed, r"ppo\.ent_coef=0\.1 \(was 0\.003\)")


def test_what_is_no_run_is_refused(tmp_path):
    refused(tmp_path / "none", r"is not a run: it has no config\.yaml")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"is not a run: it has no config\.yaml")


@pytest.mark.parametrize(
    ("spoil", "match"),
    [
        (lambda content: content[: len(content) // 2], r"cannot be read"),
        (lambda content: content[:-1] + bytes([content[-1] ^ 1]), r"its checksum does not match its content"),
        (lambda content: content.replace(b'\\"timesteps\\": ', b'\\"timesteps\\":1'), r"its checksum does not"),
        (lambda content: content.replace(b'"format":"2"', b'"format":"7"'), r"has another format version"),
        (lambda content: b"", r"cannot be read"),
    ],
)
def test_a_damaged_checkpoint_is_refused(killed, spoil, match):
    last = checkpoint_files(killed)[-1]
    last.write_bytes(spoil(last.read_bytes()))
    refused(killed, match + r".*; delete it to resume from the previous one")


def test_damaged_metrics_are_refused(killed):
    file = killed / run_dir.EPISODES
    content = file.read_bytes()
    file.write_bytes(content[:100])
    refused(killed, r"episodes\.jsonl' is shorter than when its checkpoint was written")
    file.write_bytes(content.replace(b"\n", b" ", 1))
    with pytest.raises(SettingError, match=r"is damaged"):
        resume(killed, progress=False)


def test_a_checkpoint_of_something_else_is_refused(killed):
    state = last_checkpoint(killed)
    write_checkpoint(killed, Checkpoint({"policy/x": torch.zeros(3)}, state.metadata))
    refused(killed, r"weights of the checkpoint do not match")
    del state.metadata["optimizer"]
    write_checkpoint(killed, state)
    refused(killed, r"is incomplete: KeyError\('optimizer'\)")


def test_the_device_of_the_run_is_used_again(killed, monkeypatch):
    made = json.loads((killed / run_dir.RUN).read_text())
    made["machine"]["device"] = "cuda:7"
    (killed / run_dir.RUN).write_text(json.dumps(made))
    refused(killed, r"the run was started on cuda:7: .*cannot be used.*type --device cpu --allow-change")


def test_a_damaged_description_of_the_run_is_refused(killed):
    (killed / run_dir.SUMMARY).write_text('{"status": "finished"}')
    refused(killed, r"summary\.json' is damaged")
    (killed / run_dir.SUMMARY).unlink()
    made = json.loads((killed / run_dir.RUN).read_text())
    wrong = [made | {"resumed": 3}, made | {"machine": made["machine"] | {"device": 3}}]
    for content in ("{", "[]", '{"machine": {}}', *map(json.dumps, wrong)):
        (killed / run_dir.RUN).write_text(content)
        refused(killed, r"cannot read '.*run\.json'|run\.json' is damaged")
    (killed / run_dir.RUN).unlink()
    refused(killed, r"has no run\.json")


def test_a_second_process_is_refused_while_one_trains(killed):
    with run_dir.exclusive_writer(killed):
        refused(killed, r"another process is training in '.*run'; wait until it ends, or stop it")


def test_a_directory_that_cannot_be_written_is_refused(killed, monkeypatch):
    opened = Path.open

    def read_only(self, mode="r", *rest, **more):
        if set(mode) & set("wax+"):
            raise OSError(30, "Read-only file system")
        return opened(self, mode, *rest, **more)

    monkeypatch.setattr(Path, "open", read_only)
    refused(killed, r"cannot write into '.*': Read-only file system")


def test_a_finished_run_without_checkpoints_is_not_begun_anew(whole, tmp_path):
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    shutil.rmtree(run / run_dir.CHECKPOINTS)
    refused(run, r"has no checkpoint to resume from; start a new run with --from")
