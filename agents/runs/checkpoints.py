"""Keep the states of a running training on disk: each in a file that is whole or not there, the last few and the best.

A file is in safetensors' format, which holds arrays and no code; its metadata holds the rest as JSON, and a checksum.
"""

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from agents.runs import run_dir
from token_env.errors import SettingError
from token_env.files import write_bytes

FORMAT = 1


class Checkpoint(NamedTuple):
    """A training between two rollouts."""

    tensors: dict[str, Tensor]  # weights, optimizer, memory
    facts: dict[str, Any]  # everything else, as JSON holds it

    @property
    def episodes(self) -> int:
        """How many had ended."""
        return int(self.facts["episodes"])


def checkpoint_file(run: Path, episodes: int) -> Path:
    """Where the state after so many episodes is kept."""
    return run / run_dir.CHECKPOINTS / f"episode-{episodes:08d}.safetensors"


def checkpoint_files(run: Path) -> list[Path]:
    """The files of all states of a run that are kept, the last one last."""
    return sorted((run / run_dir.CHECKPOINTS).glob("episode-*.safetensors"))


def write_checkpoint(run: Path, state: Checkpoint) -> Path:
    """Write a state; all earlier ones stay.

    Raises:
        OSError: it cannot be written; then nothing has changed.
    """
    path = checkpoint_file(run, state.episodes)
    path.parent.mkdir(exist_ok=True)
    facts = json.dumps(state.facts)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    metadata = {"format": str(FORMAT), "facts": facts, "sha256": _checksum(tensors, facts)}
    write_bytes(path, safetensors.torch.save(tensors, metadata))
    _flush_directory(path.parent)
    return path


def keep_last(run: Path, count: int, best: int | None) -> None:
    """Remove all states but the last so many, and the one after `best` episodes."""
    kept = [checkpoint_file(run, best)] if best is not None else []
    for path in checkpoint_files(run)[:-count]:
        if path not in kept:
            path.unlink()


def last_checkpoint(run: Path) -> Checkpoint | None:
    """The last state of a run; None if it ended before one was kept.

    Raises:
        SettingError: it is damaged, was changed by somebody, or is of another version.
    """
    files = checkpoint_files(run)
    return read_checkpoint(files[-1]) if files else None


def read_checkpoint(path: Path) -> Checkpoint:
    """The state in a file. Nothing is unpickled; no code of it is executed.

    Raises:
        SettingError: it is damaged, was changed by somebody, or is of another version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error
    if metadata.get("format") != str(FORMAT):
        raise _unusable(path, f"is of another version; this one reads format {FORMAT}")
    if metadata.get("sha256") != _checksum(tensors, metadata.get("facts", "")):
        raise _unusable(path, "is damaged: its checksum is not that of its content")
    try:
        return Checkpoint(tensors, dict(json.loads(metadata["facts"])))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error


def remove_leftovers(run: Path) -> None:
    """Remove what writes that were killed have left behind."""
    for place in (run, run / run_dir.CHECKPOINTS, run / run_dir.BEST):
        for path in place.glob(".*.*.????????"):  # as `write_bytes` names its temporary files
            with contextlib.suppress(OSError):
                path.unlink()


def _checksum(tensors: dict[str, Tensor], facts: str) -> str:
    """Of everything that a state holds."""
    digest = hashlib.sha256(facts.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _unusable(path: Path, reason: str) -> SettingError:
    others = len(checkpoint_files(path.parent.parent)) - 1
    way = "remove it to go on from the one before" if others else "there is no other one; train again"
    return SettingError(f"the checkpoint {str(path)!r} {reason}; {way}.")


def _flush_directory(path: Path) -> None:
    """Make sure that a file's new name survives a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
