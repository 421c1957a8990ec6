"""Resume a run from its last checkpoint: `python -m agents.train --resume RUN`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents.machine.devices import resolve_device
from agents.machine.provenance import provenance
from agents.machine.signals import Stopper
from agents.policies.compiled import COMPILING
from agents.runs import run_dir
from agents.runs.checkpoints import Checkpoint, last_checkpoint, remove_leftovers
from agents.runs.json_files import read_file, write_text
from agents.runs.language_file import read_language
from agents.runs.metrics import truncate_metrics
from agents.runs.summary import RunRecord, Summary, read_record
from agents.settings.layers import differences, make_settings, read_layer
from agents.settings.schema import Settings
from agents.settings.yaml_text import dump
from agents.training.build import Training, build, load_initial_weights, resolve_settings
from agents.training.curriculum import CurriculumState as CurriculumState
from agents.training.finish import Result
from agents.training.fit import train
from agents.training.recorder import Recorder
from agents.training.state import restore_training
from token_env.errors import SettingError

# Settings that resuming cannot change, since the weights depend on them; also the algorithm's number of environments.
FIXED = ("algorithm", "seed", "from_run", "env.", "policy.")


def resume(run: str | Path, *changes: Mapping[str, Any], allow_change: bool = False, progress: bool = True) -> Result:
    """Resume a run from its last checkpoint, train to the end, and evaluate. The result equals an uninterrupted run.

    Metrics recorded after the checkpoint are deleted and recorded again. A run without checkpoints starts again from
    the beginning.

    Args:
        run: Directory of the run.
        *changes: Nested dictionaries of settings to change.
        allow_change: Whether settings may differ from those of the run so far.
        progress: Whether to display the progress on stderr.

    Raises:
        SettingError: The directory is no run, the run is finished, damaged or trained by another process, or settings
            differ.
        TrainingError: A value is not finite, an action is invalid, or the directory became unwritable.
        Interrupted: A signal arrived before training started, or a second signal arrived.
    """
    path = Path(run)
    if not (path / run_dir.CONFIG).is_file():
        raise SettingError(f"{str(path)!r} is not a run: it has no {run_dir.CONFIG}.")
    run_dir.check_utf8(path)
    with Stopper() as stopper, run_dir.exclusive_writer(path):
        checkpoint = last_checkpoint(path)
        settings, changed = resumed_settings(path, checkpoint, changes, allow_change)
        record = read_record(path)
        if progress and settings.compile:
            print(COMPILING, file=sys.stderr)
        training = rebuild(path, settings, _device(record.machine.device, settings, changed), checkpoint)
        now = provenance(training.device, "as the run began") | {"products": training.products._asdict()}
        before = repeatability(record)
        for name, current in repeatability(RunRecord(**now)).items():
            if before.get(name) != current:
                print(f"warning: results may differ: {name} was {before.get(name)}, is now {current}", file=sys.stderr)
        recorder = Recorder(path)
        resumption = {"episodes": checkpoint.episodes if checkpoint else 0, "changed": changed, **now}
        try:
            if checkpoint:
                recorder.restore(checkpoint.metadata["recorder"], checkpoint.metadata["clock"][0])
            else:
                truncate_metrics(path, {})
            remove_leftovers(path)
            record.model_copy(update={"resumed": (*record.resumed, resumption)}).write(path / run_dir.RUN)
            if changed:
                write_text(path / run_dir.CONFIG, dump(settings.to_dict()))
        except OSError as error:
            raise SettingError(f"cannot write into {str(path)!r}: {error.strerror}; make it writable.") from error
        return train(path, training, recorder, checkpoint, stopper, progress)


def resumed_settings(
    path: Path, checkpoint: Checkpoint | None, changes: tuple[Mapping[str, Any], ...], allow_change: bool
) -> tuple[Settings, list[str]]:
    """Return the settings to resume with, and the names of those that differ from the run's so far.

    Args:
        path: Directory of the run.
        checkpoint: Last checkpoint of the run, if any.
        changes: Nested dictionaries of settings to change.
        allow_change: Whether settings may differ.

    Raises:
        SettingError: Settings differ that must not, or no episodes remain.
    """
    stored = make_settings(read_layer(str(path / run_dir.CONFIG)))
    previous = make_settings(checkpoint.metadata["settings"]) if checkpoint else stored
    settings = resolve_settings(make_settings(stored.to_dict(), *changes))
    changed = list(differences(previous.to_dict(), settings.to_dict()))
    listing = ", ".join(f"{name}={new} (was {old})" for name, old, new in changed)
    fixed = [name for name, _, _ in changed if name.startswith((*FIXED, f"{previous.section}.n_envs"))]
    if fixed:
        raise SettingError(
            f"{', '.join(fixed)} cannot change when resuming: {listing}; omit it, or start a new run from these "
            f"weights with --from {run_dir.as_typed(path)}."
        )
    if changed and not allow_change:
        raise SettingError(
            f"settings differ from those of {str(path)!r}: {listing}; omit the changes, or type --allow-change."
        )
    _check_unfinished(path, checkpoint.episodes if checkpoint else 0, settings.episodes)
    return settings, [name for name, _, _ in changed]


def _check_unfinished(path: Path, played: int, episodes: int) -> None:
    """Check that episodes remain to be played, and that resuming would discard no trained model."""
    file = path / run_dir.SUMMARY
    try:
        summary = Summary.read(file) if file.exists() else None
    except SettingError as error:
        raise SettingError(f"{error} Delete {str(file)!r} to resume from the last checkpoint.") from error
    if summary and summary.episodes > played:  # resuming would replace the model by one with fewer episodes
        raise SettingError(
            f"{str(path)!r} has no checkpoint to resume from; start a new run with --from {run_dir.as_typed(path)}."
        )
    if played > episodes:
        raise SettingError(
            f"{str(path)!r} has already played {played} episodes; type --episodes {played} or more, not {episodes}."
        )
    if played == episodes and summary and summary.status == "finished":
        raise SettingError(
            f"{str(path)!r} is finished; to train longer, type for example --episodes {2 * played} --allow-change."
        )


def rebuild(path: Path, settings: Settings, device: str, checkpoint: Checkpoint | None) -> Training:
    """Build the parts of a training and restore them from a checkpoint, if any.

    Args:
        path: Directory of the run.
        settings: Settings to resume with.
        device: Name of a usable device.
        checkpoint: Checkpoint to continue from; None starts from the beginning.

    Raises:
        SettingError: The checkpoint or the language does not match the settings.
    """
    language_path = path / run_dir.LANGUAGE
    language = read_language(read_file(language_path), str(language_path)) if language_path.exists() else None
    progress = checkpoint.metadata["curriculum"] if checkpoint else None
    training = build(settings, device, language, CurriculumState(**progress) if progress else None)
    if checkpoint is None:
        load_initial_weights(training)
        return training
    if training.dynamics.language.fingerprint != checkpoint.metadata["language"]:
        raise SettingError(f"the language in {str(path)!r} differs from the one that the run was trained on.")
    try:
        restore_training(training.model, training.env, checkpoint)
    except (LookupError, TypeError) as error:  # a valid checksum does not imply valid contents
        raise SettingError(f"the last checkpoint of {str(path)!r} is incomplete: {error!r}.") from error
    return training


def repeatability(record: RunRecord) -> dict[str, Any]:
    """Return the values, by name, that must be equal for bitwise identical results."""
    versions = {f"version of {name}": version for name, version in record.versions.items()}
    return {
        "processor": record.machine.processor,
        "device": record.machine.device,
        "threads": record.threads,
        "matrix products": record.products.get("path"),
        **versions,
    }


def _device(recorded: str, settings: Settings, changed: list[str]) -> str:
    """Return the device that the run started on, or the one in the settings if that setting changed."""
    if "device" in changed:
        return resolve_device(settings.device)
    try:
        return resolve_device(recorded)
    except SettingError as error:
        raise SettingError(
            f"the run was started on {recorded}: {error} To resume on another device, type --device cpu --allow-change."
        ) from error
