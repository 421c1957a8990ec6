"""Go on with a run where its last checkpoint is: `python -m agents.train --resume RUN`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import configs
from agents.machine.devices import resolve_device
from agents.machine.provenance import provenance
from agents.machine.signals import Stopper
from agents.runs import run_dir
from agents.runs.checkpoints import Checkpoint, last_checkpoint, remove_leftovers
from agents.runs.json_files import read_file, write_text
from agents.runs.language_file import read_language
from agents.runs.metrics import truncate_metrics
from agents.runs.summary import RunRecord, Summary, read_record
from agents.settings.layers import differences, make_settings, read_layer
from agents.settings.schema import Settings
from agents.training.build import Training, begin_weights, build, resolve_settings
from agents.training.curriculum import CurriculumState as CurriculumState
from agents.training.finish import Result
from agents.training.fit import train
from agents.training.recorder import Recorder
from agents.training.state import restore_training
from token_env.errors import SettingError

# Not to be changed on the way: what was learned belongs to it. With the algorithm's number of environments.
FIXED = ("algorithm", "seed", "from_run", "env.", "policy.")


def resume(run: str | Path, *changes: Mapping[str, Any], allow_change: bool = False, progress: bool = True) -> Result:
    """Train on from the last checkpoint to the end, bit for bit as if nothing had happened, and evaluate.

    What was recorded after the checkpoint is cut off and made again. A run that was stopped before its first
    checkpoint begins anew.

    Args:
        run: directory of the run.
        *changes: nested dictionaries of settings to change.
        allow_change: whether settings may differ from those of the run so far.
        progress: whether to show how it is getting on.

    Raises:
        SettingError: no run, one that is finished, damaged, or trained by another process; or changed settings.
        TrainingError: a number that is not finite, or a directory that cannot be written any more.
        Interrupted: a signal before training began, or a second one.
    """
    path = Path(run)
    if not (path / run_dir.CONFIG).is_file():
        raise SettingError(f"{str(path)!r} is no run: it has no {run_dir.CONFIG}.")
    with Stopper() as stopper, run_dir.exclusive_writer(path):
        state = last_checkpoint(path)
        settings, changed = resumed_settings(path, state, changes, allow_change)
        record = read_record(path)
        training = rebuild(path, settings, _device(record.machine.device, settings, changed), state)
        now = provenance(training.device, "as the run began") | {"products": training.products._asdict()}
        before = repeatability(record)
        for name, here in repeatability(RunRecord(**now)).items():
            if before.get(name) != here:
                print(f"not bit for bit what it was: {name} was {before.get(name)}, is {here}", file=sys.stderr)
        recorder = Recorder(path)
        resumption = {"episodes": state.episodes if state else 0, "changed": changed, **now}
        try:
            if state:
                recorder.go_on(state.facts["recorder"], state.facts["clock"][0])
            else:
                truncate_metrics(path, {})
            remove_leftovers(path)
            record.model_copy(update={"resumed": (*record.resumed, resumption)}).write(path / run_dir.RUN)
            if changed:
                write_text(path / run_dir.CONFIG, configs.dump(settings.to_dict()))
        except OSError as error:
            raise SettingError(f"cannot write into {str(path)!r}: {error.strerror}; make it writable.") from error
        return train(path, training, recorder, state, stopper, progress)


def resumed_settings(
    path: Path, state: Checkpoint | None, changes: tuple[Mapping[str, Any], ...], allow_change: bool
) -> tuple[Settings, list[str]]:
    """The settings to go on with, and the names of those that differ from the run's so far.

    Raises:
        SettingError: some differ that must not; or nothing is left to do.
    """
    written = make_settings(read_layer(str(path / run_dir.CONFIG)))
    so_far = make_settings(state.facts["settings"]) if state else written
    settings = resolve_settings(make_settings(written.to_dict(), *changes))
    section = so_far.section
    different = list(differences(so_far.to_dict(), settings.to_dict()))
    told = ", ".join(f"{name}={now} (was {was})" for name, was, now in different)
    fixed = [name for name, _, _ in different if name.startswith((*FIXED, f"{section}.n_envs"))]
    if fixed:
        raise SettingError(
            f"{', '.join(fixed)} cannot change on the way: {told}. Leave it as it was, or start a new run from these "
            f"weights with --from {path}."
        )
    if different and not allow_change:
        raise SettingError(f"settings differ from those of {str(path)!r}: {told}; leave them, or type --allow-change.")
    _check_unfinished(path, state.episodes if state else 0, settings.episodes)
    return settings, [name for name, _, _ in different]


def _check_unfinished(path: Path, played: int, episodes: int) -> None:
    """Make sure that something is left to play, and nothing to lose by it."""
    file = path / run_dir.SUMMARY
    try:
        summary = Summary.read(file) if file.exists() else None
    except SettingError as error:
        raise SettingError(f"{error} Remove {str(file)!r} to resume from the last checkpoint.") from error
    if summary and summary.episodes > played:  # its model has played more than can be resumed: never restart it
        raise SettingError(f"{str(path)!r} has no checkpoint to go on from; start a new run with --from {path}.")
    if played > episodes:
        raise SettingError(f"{str(path)!r} has played {played} episodes already, more than {episodes}.")
    if played == episodes and summary and summary.status == "finished":
        raise SettingError(
            f"{str(path)!r} is finished; type --episodes {2 * played} --allow-change to go on beyond, say."
        )


def rebuild(path: Path, settings: Settings, device: str, state: Checkpoint | None) -> Training:
    """What trains, in this state; at the beginning if None.

    Raises:
        SettingError: the state or the language does not fit the settings.
    """
    kept = path / run_dir.LANGUAGE
    language = read_language(read_file(kept), str(kept)) if kept.exists() else None
    level = state.facts["curriculum"] if state else None
    training = build(settings, device, language, CurriculumState(**level) if level else None)
    if state is None:
        begin_weights(training)
        return training
    if training.dynamics.language.fingerprint != state.facts["language"]:
        raise SettingError(f"the language of {str(path)!r} is not the one it was trained on so far.")
    try:
        restore_training(training.model, training.env, state)
    except (LookupError, TypeError) as error:  # a checksum that is right vouches for nothing
        raise SettingError(f"the last checkpoint of {str(path)!r} lacks something: {error!r}.") from error
    return training


def repeatability(record: RunRecord) -> dict[str, Any]:
    """List, by name, what must be equal for a run to repeat bit for bit."""
    versions = {f"version of {name}": version for name, version in record.versions.items()}
    return {
        "processor": record.machine.processor,
        "device": record.machine.device,
        "threads": record.threads,
        "matrix products": record.products.get("path"),
        **versions,
    }


def _device(recorded: str, settings: Settings, changed: list[str]) -> str:
    """The device that the run began on, unless the settings now name another."""
    if "device" in changed:
        return resolve_device(settings.device)
    try:
        return resolve_device(recorded)
    except SettingError as error:
        raise SettingError(
            f"the run began on {recorded}: {error} To go on elsewhere, type --device cpu --allow-change."
        ) from error
