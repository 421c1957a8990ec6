"""Cache optimal returns: problems of held-out splits are solved once and stored on disk.

A file belongs to one language, split and set of constants. It is used only if its checksum and its description are
correct; otherwise it is written anew. If the folder is not writable, every process solves the problems again.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from platformdirs import user_cache_path

from token_env.files import write_bytes
from token_env.languages.language import ARRAYS, Language
from token_env.optimum.solver import Solver
from token_env.rules import rows as row_fields
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems

FORMAT = 1  # version of the files; changes when the same constants give other problems or optima
HELD_OUT = ("validation", "test")
FOLDER_VARIABLE = "TOKENTASK_CACHE"  # environment variable that overrides the system's cache folder
CONSTANTS = ("max_steps", "noise", "adequacy_scale", "fluency_scale", "surprisal_budget")


def return_solver(dynamics: Dynamics) -> Solver:
    """Return the solver of the return, which is adequacy minus fluency penalty under every reward of the task."""
    task = dataclasses.replace(dynamics.task, reward="dense", language=dynamics.language)
    return Solver(Dynamics(task))


def optimal_returns(dynamics: Dynamics, problems: Problems) -> NDArray[np.float64]:
    """Return the optimal return of each problem, float64 [N]; the same under every reward of the task.

    Args:
        dynamics: Rules of the task.
        problems: Problems of the task's split, [N].
    """
    ids, first, where = np.unique(problems.ids, return_index=True, return_inverse=True)
    known = _optima(dynamics).known if dynamics.task.split in HELD_OUT else {}
    returns = np.array([known.get(problem, np.nan) for problem in ids.tolist()])
    missing = np.flatnonzero(np.isnan(returns))
    if len(missing):
        returns[missing] = return_solver(dynamics).solve(row_fields.take(problems, first[missing])).returns
    return returns[where]


def store_optima(dynamics: Dynamics, problems: Problems) -> None:
    """Solve these problems and store their optima on disk, if they belong to a held-out split.

    Args:
        dynamics: Rules of the task.
        problems: Problems of the task's split, [N].
    """
    if dynamics.task.split in HELD_OUT:
        returns = optimal_returns(dynamics, problems)
        _optima(dynamics).add(dict(zip(problems.ids.tolist(), returns.tolist(), strict=True)))


def score(returns: ArrayLike, optimum: ArrayLike) -> NDArray[np.float64]:
    """Divide returns by optimal returns, elementwise; NaN where the optimum is not above zero."""
    optima = np.asarray(optimum, dtype=np.float64)
    return np.divide(returns, optima, out=np.full(optima.shape, np.nan), where=optima > 0.0)


def folder() -> Path:
    """Return the folder of the cache."""
    override = os.environ.get(FOLDER_VARIABLE)
    return Path(override).expanduser() if override else user_cache_path("tokentask")


def describe(dynamics: Dynamics) -> dict[str, Any]:
    """Return everything that determines the optimum of a problem, except its id."""
    task = dynamics.task
    return {
        "format": FORMAT,
        "language": [dynamics.language.fingerprint, _arrays_digest(dynamics.language)],
        "message_language": [dynamics.message_language.fingerprint, _arrays_digest(dynamics.message_language)],
        "split": task.split,
        **{name: getattr(task, name) for name in CONSTANTS},
    }


@lru_cache(maxsize=16)
def _arrays_digest(language: Language) -> str:
    """Hash the arrays themselves, because a user's language may have changed arrays under an old recipe."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(getattr(language, name).tobytes())
    return digest.hexdigest()


class Optima:
    """The stored optimal returns of one split, by problem id."""

    def __init__(self, path: Path, description: str) -> None:
        self._path = path
        self._description = description
        self.known = read(path, description)

    def add(self, returns: Mapping[int, float]) -> None:
        """Store these returns beside those that other processes have written in the meantime."""
        if not returns.keys() <= self.known.keys():
            self.known |= read(self._path, self._description) | dict(returns)
            write(self._path, self._description, self.known)


def _optima(dynamics: Dynamics) -> Optima:
    return _open_optima(folder(), json.dumps(describe(dynamics), sort_keys=True))


@lru_cache(maxsize=16)
def _open_optima(directory: Path, description: str) -> Optima:
    name = hashlib.sha256(description.encode()).hexdigest()[:32]
    return Optima(directory / "optima" / f"{name}.json", description)


def read(path: Path, description: str) -> dict[int, float]:
    """Return the optimal returns in a file by problem id; {} if it is missing, damaged, or has another description."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        about, returns = content["about"], content["returns"]
        if content["sha256"] != checksum(about, returns) or json.dumps(about, sort_keys=True) != description:
            return {}
        return {int(problem): float(value) for problem, value in returns.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write(path: Path, description: str, returns: Mapping[int, float]) -> None:
    """Write optimal returns by problem id to a file; do nothing if it cannot be written."""
    about = json.loads(description)
    by_id = {str(problem): returns[problem] for problem in sorted(returns)}
    content = {"about": about, "returns": by_id, "sha256": checksum(about, by_id)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(content, indent=1).encode())
    except OSError:
        return


def checksum(about: Mapping[str, Any], returns: Mapping[str, float]) -> str:
    """Return the SHA-256 of a file's content, hexadecimal."""
    return hashlib.sha256(json.dumps([about, returns], sort_keys=True).encode()).hexdigest()
