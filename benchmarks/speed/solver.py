"""Measure the speed of the exact solver on one core, compared with the plain pass over all pairs of tokens."""

import time
from statistics import median

import numpy as np
from rich.table import Table

from token_env import SIZES
from token_env.optimum.solver import Solver
from token_env.rules import rows
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.task import Task

MEASURED = (("synthetic", "fast"), ("synthetic", "stable"), ("english", "fast"), ("english", "stable"))
BATCH = 32  # problems solved at once
PROBLEMS = 128  # problems per repeat


def speed_table(repeats: int) -> Table:
    """Build the table of problems solved per CPU second: medians of interleaved repeats; the plain pass solves one."""
    cases = {case: _prepare(*case) for case in MEASURED}
    rates: dict[tuple[str, str], list[float]] = {}
    plain: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for case, (dynamics, problems) in cases.items():
            rates.setdefault(case, []).append(_rate(Solver(dynamics), problems))
            first_problem = rows.take(problems, slice(1))
            plain.setdefault(case, []).append(_rate(Solver(dynamics, gaps=()), first_problem))
    table = Table(title=f"problems per CPU second, batches of {BATCH}, medians of {repeats}", title_justify="left")
    for heading in ("language", "size", "solver", "plain pass", "ratio", "mean optimum"):
        table.add_column(heading, justify="left" if heading in ("language", "size") else "right")
    for case, (dynamics, problems) in cases.items():
        fast, slow = median(rates[case]), median(plain[case])
        optimum = float(Solver(dynamics).solve(problems).returns.mean())
        table.add_row(*case, f"{fast:,.0f}", f"{slow:.2f}", f"{fast / slow:,.0f}", f"{optimum:.3f}")
    return table


def _prepare(language: str, size: str) -> tuple[Dynamics, Problems]:
    """Return the rules and test problems; solve them once, so that the language's cached lists are not measured."""
    dynamics = Dynamics(Task(language=language, split="test", **SIZES[size]))
    problems = dynamics.problems.draw(np.arange(PROBLEMS))
    Solver(dynamics).solve(problems)
    return dynamics, problems


def _rate(solver: Solver, problems: Problems) -> float:
    """Return the problems solved per CPU second."""
    started = time.process_time()
    for first in range(0, len(problems.start), BATCH):
        solver.solve(rows.take(problems, slice(first, first + BATCH)))
    return len(problems.start) / (time.process_time() - started)
