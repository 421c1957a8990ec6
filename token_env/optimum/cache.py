"""Know the optimal returns of problems: those that an evaluation asks for are solved once and kept on disk.

A file belongs to one language, split and set of constants. It is trusted only if its checksum and everything it says
of itself are right; else it is made anew. Where nothing can be written, problems are solved again in every process.
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

FORMAT = 1  # of the files, and of what problems and solver make of the same constants
HELD_OUT = ("validation", "test")
FOLDER_VARIABLE = "TOKENTASK_CACHE"  # names another directory than the system's for caches
CONSTANTS = ("max_steps", "noise", "adequacy_scale", "fluency_scale", "surprisal_budget")


def return_solver(dynamics: Dynamics) -> Solver:
    """The solver of the return, which adequacy and fluency penalty make up whatever the reward of the task."""
    task = dataclasses.replace(dynamics.task, reward="dense", language=dynamics.language)
    return Solver(Dynamics(task))


def optimal_returns(dynamics: Dynamics, problems: Problems) -> NDArray[np.float64]:
    """The best possible return of each of these problems of the task's split, [N], whatever its reward."""
    ids, first, where = np.unique(problems.ids, return_index=True, return_inverse=True)
    known = _optima(dynamics).known if dynamics.task.split in HELD_OUT else {}
    returns = np.array([known.get(problem, np.nan) for problem in ids.tolist()])
    missing = np.flatnonzero(np.isnan(returns))
    if len(missing):
        returns[missing] = return_solver(dynamics).solve(row_fields.take(problems, first[missing])).returns
    return returns[where]


def keep_optima(dynamics: Dynamics, problems: Problems) -> None:
    """Solve these problems once and for all, if they are of a held-out split: evaluations ask for them again."""
    if dynamics.task.split in HELD_OUT:
        returns = optimal_returns(dynamics, problems)
        _optima(dynamics).add(dict(zip(problems.ids.tolist(), returns.tolist(), strict=True)))


def score(earned: ArrayLike, optimum: ArrayLike) -> NDArray[np.float64]:
    """Returns as a share of what could be earned, elementwise; NaN where that is not above zero."""
    possible = np.asarray(optimum, dtype=np.float64)
    return np.divide(earned, possible, out=np.full(possible.shape, np.nan), where=possible > 0.0)


def folder() -> Path:
    """Where the files are."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("tokentask")


def describe(dynamics: Dynamics) -> dict[str, Any]:
    """Everything that the optimum of a problem depends on, but for its id."""
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
    """Of the arrays as they are, which a recipe need not tell: somebody may have changed one."""
    digest = hashlib.sha256()
    for name in ARRAYS:
        digest.update(getattr(language, name).tobytes())
    return digest.hexdigest()


class Optima:
    """The optimal returns that are kept of one split, by problem id."""

    def __init__(self, path: Path, description: str) -> None:
        self._path = path
        self._description = description
        self.known = read(path, description)

    def add(self, returns: Mapping[int, float]) -> None:
        """Keep these, too, beside those that other processes have written in the meantime."""
        if not returns.keys() <= self.known.keys():
            self.known |= read(self._path, self._description) | dict(returns)
            write(self._path, self._description, self.known)


def _optima(dynamics: Dynamics) -> Optima:
    return _read_once(folder(), json.dumps(describe(dynamics), sort_keys=True))


@lru_cache(maxsize=16)
def _read_once(directory: Path, description: str) -> Optima:
    name = hashlib.sha256(description.encode()).hexdigest()[:32]
    return Optima(directory / "optima" / f"{name}.json", description)


def read(path: Path, description: str) -> dict[int, float]:
    """The optimal returns in this file by problem id; none if it is missing, damaged, or about something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        about, returns = content["about"], content["returns"]
        if content["sha256"] != checksum(about, returns) or json.dumps(about, sort_keys=True) != description:
            return {}
        return {int(problem): float(value) for problem, value in returns.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def write(path: Path, description: str, returns: Mapping[int, float]) -> None:
    """Put these optimal returns by problem id into a file; nothing happens where it cannot be written."""
    about = json.loads(description)
    by_id = {str(problem): returns[problem] for problem in sorted(returns)}
    content = {"about": about, "returns": by_id, "sha256": checksum(about, by_id)}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, json.dumps(content, indent=1).encode())
    except OSError:
        return


def checksum(about: Mapping[str, Any], returns: Mapping[str, float]) -> str:
    """Of the content of a file."""
    return hashlib.sha256(json.dumps([about, returns], sort_keys=True).encode()).hexdigest()
