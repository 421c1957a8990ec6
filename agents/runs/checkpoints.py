"""Write and read the checkpoints of a run; a crash leaves no half-written checkpoint.

A checkpoint is a safetensors file, which contains arrays and no code. Its header contains all other values as JSON, and
a checksum.
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

FORMAT = 2


class Checkpoint(NamedTuple):
    """The complete training state between two rollouts."""

    tensors: dict[str, Tensor]  # weights, optimizer moments and LSTM states, by name
    metadata: dict[str, Any]  # all other values, as JSON types

    @property
    def episodes(self) -> int:
        """Number of episodes that ended before this checkpoint."""
        return int(self.metadata["episodes"])


def checkpoint_file(run: Path, episodes: int) -> Path:
    """Return the path of the checkpoint written after this many episodes."""
    return run / run_dir.CHECKPOINTS / f"episode-{episodes:08d}.safetensors"


def checkpoint_files(run: Path) -> list[Path]:
    """Return the paths of all checkpoints of a run, oldest first."""
    return sorted((run / run_dir.CHECKPOINTS).glob("episode-*.safetensors"))


def write_checkpoint(run: Path, checkpoint: Checkpoint) -> Path:
    """Write a checkpoint and return its path; earlier checkpoints stay.

    Raises:
        OSError: The file cannot be written; no file has changed.
    """
    path = checkpoint_file(run, checkpoint.episodes)
    path.parent.mkdir(exist_ok=True)
    metadata = json.dumps(checkpoint.metadata)
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    header = {"format": str(FORMAT), "facts": metadata, "sha256": _checksum(tensors, metadata)}
    write_bytes(path, safetensors.torch.save(tensors, header))
    _flush_directory(path.parent)
    return path


def prune_checkpoints(run: Path, count: int, best: int | None) -> None:
    """Delete all checkpoints except the last `count` and the one written after `best` episodes."""
    best_path = checkpoint_file(run, best) if best is not None else None
    for path in checkpoint_files(run)[:-count]:
        if path != best_path:
            path.unlink()


def last_checkpoint(run: Path) -> Checkpoint | None:
    """Return the last checkpoint of a run; None if the run has no checkpoint.

    Raises:
        SettingError: The checkpoint is damaged, was modified, or has another format version.
    """
    files = checkpoint_files(run)
    return read_checkpoint(files[-1]) if files else None


def read_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint file. Nothing is unpickled; no code from the file is executed.

    Raises:
        SettingError: The checkpoint is damaged, was modified, or has another format version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a mapping)
    except (OSError, SafetensorError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error
    if header.get("format") != str(FORMAT):
        raise _unusable(path, f"has another format version; this program reads format {FORMAT}")
    if header.get("sha256") != _checksum(tensors, header.get("facts", "")):
        raise _unusable(path, "is damaged: its checksum does not match its content")
    try:
        return Checkpoint(tensors, dict(json.loads(header["facts"])))
    except (ValueError, TypeError, RecursionError) as error:
        raise _unusable(path, f"cannot be read: {error}") from error


def remove_leftovers(run: Path) -> None:
    """Delete the temporary files of writes that were killed."""
    for directory in (run, run / run_dir.CHECKPOINTS, run / run_dir.BEST):
        for path in directory.glob(".*.*.????????"):  # the names that `write_bytes` gives its temporary files
            with contextlib.suppress(OSError):
                path.unlink()


def _checksum(tensors: dict[str, Tensor], metadata: str) -> str:
    """Return the SHA-256 of all tensors and the metadata, as hexadecimal digits."""
    digest = hashlib.sha256(metadata.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _unusable(path: Path, reason: str) -> SettingError:
    others = len(checkpoint_files(path.parent.parent)) - 1
    advice = "delete it to resume from the previous one" if others else "there is no other checkpoint; train again"
    return SettingError(f"the checkpoint {str(path)!r} {reason}; {advice}.")


def _flush_directory(path: Path) -> None:
    """Flush a directory to disk, so that a new file name survives a power failure."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
