"""Know the optimal returns of problems: those of held-out splits are solved once and kept on disk.

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
from numpy.typing import NDArray
from platformdirs import user_cache_path

from token_env.dynamics import Dynamics
from token_env.files import write_bytes
from token_env.problem import Problems
from token_env.solver import Solver

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
    if dynamics.task.split not in HELD_OUT:
        return return_solver(dynamics).solve(problems).returns
    description = json.dumps(describe(dynamics), sort_keys=True)
    return _optima(folder(), description).of(dynamics, problems)


def folder() -> Path:
    """Where the files are."""
    named = os.environ.get(FOLDER_VARIABLE)
    return Path(named) if named else user_cache_path("tokentask")


def describe(dynamics: Dynamics) -> dict[str, Any]:
    """Everything that the optimum of a problem depends on, but for its id."""
    task = dynamics.task
    return {
        "format": FORMAT,
        "language": dynamics.language.fingerprint,
        "message_language": dynamics.message_language.fingerprint,
        "split": task.split,
        **{name: getattr(task, name) for name in CONSTANTS},
    }


class Optima:
    """The optimal returns that are known of one split, by problem id."""

    def __init__(self, path: Path, description: str) -> None:
        self._path = path
        self._description = description
        self._known: dict[int, float] = read(path, description)

    def of(self, dynamics: Dynamics, problems: Problems) -> NDArray[np.float64]:
        """The optimal returns of these problems, [N]; what is not known is solved, and kept."""
        ids = problems.ids.tolist()
        missing = [row for row, problem in enumerate(ids) if problem not in self._known]
        if missing:
            rows = np.array(missing)
            chosen = Problems(*(field[rows] for field in problems))
            found = return_solver(dynamics).solve(chosen).returns.tolist()
            self._known |= read(self._path, self._description) | dict(zip(chosen.ids.tolist(), found, strict=True))
            write(self._path, self._description, self._known)
        return np.array([self._known[problem] for problem in ids])


@lru_cache(maxsize=16)
def _optima(directory: Path, description: str) -> Optima:
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
