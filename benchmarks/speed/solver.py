"""Measure how fast problems are solved exactly, on one core, beside the plain pass over all pairs of tokens."""

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
BATCH = 32  # problems solved side by side
PROBLEMS = 128  # in a repeat


def speed_table(repeats: int) -> Table:
    """Problems solved per second of processor time, medians of interleaved repeats; the plain pass solves one."""
    cases = {case: _prepared(*case) for case in MEASURED}
    rates: dict[tuple[str, str], list[float]] = {}
    plain: dict[tuple[str, str], list[float]] = {}
    for _ in range(repeats):
        for case, (dynamics, problems) in cases.items():
            rates.setdefault(case, []).append(_rate(Solver(dynamics), problems))
            one = rows.take(problems, slice(1))
            plain.setdefault(case, []).append(_rate(Solver(dynamics, gaps=()), one))
    table = Table(title=f"problems per CPU second, batches of {BATCH}, medians of {repeats}", title_justify="left")
    for heading in ("language", "size", "solver", "plain pass", "ratio", "mean optimum"):
        table.add_column(heading, justify="left" if heading in ("language", "size") else "right")
    for case, (dynamics, problems) in cases.items():
        fast, slow = median(rates[case]), median(plain[case])
        optimum = float(Solver(dynamics).solve(problems).returns.mean())
        table.add_row(*case, f"{fast:,.0f}", f"{slow:.2f}", f"{fast / slow:,.0f}", f"{optimum:.3f}")
    return table


def _prepared(language: str, size: str) -> tuple[Dynamics, Problems]:
    """The rules and some test problems; the lists of the language are made before anything is measured."""
    dynamics = Dynamics(Task(language=language, split="test", **SIZES[size]))
    problems = dynamics.problems.draw(np.arange(PROBLEMS))
    Solver(dynamics).solve(problems)
    return dynamics, problems


def _rate(solver: Solver, problems: Problems) -> float:
    started = time.process_time()
    for first in range(0, len(problems.start), BATCH):
        solver.solve(rows.take(problems, slice(first, first + BATCH)))
    return len(problems.start) / (time.process_time() - started)
