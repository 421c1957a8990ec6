"""A second implementation of the published figures, written from the definitions on the pages alone.

It shares no code with `benchmarks` or `agents`. The mean optimum of test problems is the mean return of the reference
policy `optimal`, which rows hold; that of validation problems comes from `token_env.Solver`.
"""

import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

import token_env

ROOT = Path(__file__).resolve().parents[3]
RESULTS = ROOT / "benchmarks/results"
GREEDY, SAMPLED = "agent (greedy)", "agent (sampled)"
WINDOW = 100  # episodes of a running mean

Row = dict[str, Any]


class Interval(NamedTuple):
    """An estimate with the ends of its interval."""

    estimate: float
    low: float
    high: float


@cache
def read(benchmark: str) -> dict[str, list[Row]]:
    """Rows of a results file by case, each case by seed; none where there is no such file."""
    path = RESULTS / f"{benchmark}.jsonl"
    cases: dict[str, list[Row]] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        cases.setdefault(row["case"], []).append(row)
    return {case: sorted(rows, key=lambda row: row["seed"]) for case, rows in cases.items()}


# Optima


def task_of(row: Row) -> tuple[int, int]:
    """Tokens and steps of a run's task."""
    return row["settings"]["env"]["vocab_size"], row["settings"]["env"]["max_steps"]


@cache
def test_optima() -> dict[tuple[int, int], float]:
    """Mean optimum of the first 200 test problems by task, as the rows that hold it agree on it."""
    optima: dict[tuple[int, int], set[float]] = {}
    for path in RESULTS.glob("*.jsonl"):
        for row in (row for rows in read(path.stem).values() for row in rows):
            optimal = (row.get("held_out") or {}).get("optimal")
            if optimal and row["settings"]["evaluation"] == {"split": "test", "problems": 200}:
                optima.setdefault(task_of(row), set()).add(optimal["mean_return"])
    assert all(len(values) == 1 for values in optima.values()), optima
    return {task: values.pop() for task, values in optima.items()}


@cache
def solved_optimum(task: tuple[int, int], split: str = "validation") -> float:
    """Mean optimum of the first 200 problems of a split, solved anew."""
    dynamics = token_env.Dynamics(token_env.Task(vocab_size=task[0], max_steps=task[1], split=split))
    return float(token_env.Solver(dynamics).solve(dynamics.problems.draw(np.arange(200))).returns.mean())


def optimum(row: Row) -> float:
    return test_optima()[task_of(row)]


# Measures: of one run


def running_means(row: Row) -> np.ndarray:
    """Mean of each 100 episodes in a row; entry 0 ends with episode 100."""
    total = np.concatenate([[0.0], np.cumsum(row["returns"])])
    return (total[WINDOW:] - total[:-WINDOW]) / WINDOW


def convergence(row: Row, share: float = 0.05) -> float | None:
    """Episode from which on the running mean stays within a share of its last value; None where nothing is shown."""
    means = running_means(row)
    far = np.flatnonzero(np.abs(means - means[-1]) > share * abs(means[-1]))
    if not len(far):
        return None
    first = int(far[-1]) + 1 + WINDOW  # the episode that ends the first window that is near for good
    return None if first > len(row["returns"]) - WINDOW else first


def episodes_to(row: Row, average: float) -> float | None:
    """First episode whose mean with the 99 before it reaches an average."""
    there = np.flatnonzero(running_means(row) >= average)
    return int(there[0]) + WINDOW if len(there) else None


def seconds_to(row: Row, average: float) -> float | None:
    """Training time of these episodes, as their share of all."""
    episodes = episodes_to(row, average)
    return None if episodes is None else row["training"]["seconds"] * episodes / len(row["returns"])


def drawdown(row: Row) -> float:
    """Largest fall of the running mean below what it had reached before."""
    means = running_means(row)
    return float(np.max(np.maximum.accumulate(means) - means))


def spread(row: Row) -> float:
    """Standard deviation of the last 100 returns."""
    return float(np.std(row["returns"][-WINDOW:], ddof=1))


def played(row: Row, policy: str, part: str = "held_out") -> Row:
    """An evaluation of a policy in a row; empty where the row has none."""
    return (row.get(part) or {}).get(policy) or {}


def per_cent(value: float | None, whole: float) -> float | None:
    return None if value is None else 100 * value / whole


def validation_score(row: Row) -> float | None:
    value = played(row, GREEDY, "on_validation").get("mean_return")
    return None if value is None else 100 * value / solved_optimum(task_of(row))


def adequacy(row: Row, quarter: int) -> float | None:
    """Adequacy of a quarter of the words of the run's own test messages, in per cent."""
    quarters = played(row, GREEDY).get("adequacy_by_rarity")
    return None if quarters is None else 100 * quarters[quarter]


def rarest_on_fast_messages(row: Row) -> float | None:
    """Adequacy of the rarest quarter of the words of fast's test messages, in per cent."""
    if task_of(row) == (1000, 30):
        return adequacy(row, 3)
    quarters = (row.get("on_fast_messages") or {}).get("adequacy_by_rarity")
    return None if quarters is None else 100 * quarters[3]


def greedy_return(row: Row) -> float:
    return played(row, GREEDY)["mean_return"]


def gap(row: Row) -> float | None:
    trained = row.get("training_problems")
    return None if trained is None else trained["mean_return"] - greedy_return(row)


MEASURES: dict[str, Callable[[Row], float | None]] = {
    "Policy in memory, MB": lambda row: row["policy_bytes"] / 1e6,
    "Model file, MB": lambda row: row["file_bytes"] / 1e6,
    "Training time, min": lambda row: row["training"]["seconds"] / 60,
    "Processor time, min": lambda row: row["training"]["cpu_seconds"] / 60,
    "Episodes per minute": lambda row: 60 * len(row["returns"]) / row["training"]["seconds"],
    "Steps per second": lambda row: task_of(row)[1] * len(row["returns"]) / row["training"]["seconds"],
    "Peak memory, MB": lambda row: row["training"]["peak_memory_mb"],
    "CPU use, %": lambda row: 100 * row["training"]["cpu_seconds"] / row["training"]["seconds"],
    "Best episode": lambda row: max(row["returns"]),
    "Last episode": lambda row: row["returns"][-1],
    "Mean of the last 100": lambda row: float(np.mean(row["returns"][-100:])),
    "Mean of the last 20": lambda row: float(np.mean(row["returns"][-20:])),
    "Lowest of the last 20": lambda row: min(row["returns"][-20:]),
    "Highest of the last 20": lambda row: max(row["returns"][-20:]),
    "Lowest loss": lambda row: min(row["losses"]),
    "Lowest loss of the last 20 updates": lambda row: min(row["losses"][-20:]),
    "Highest loss of the last 20 updates": lambda row: max(row["losses"][-20:]),
    "Drawdown": drawdown,
    "Drawdown, % of the optimum": lambda row: per_cent(drawdown(row), optimum(row)),
    "Spread of the last 100": spread,
    "Spread of the last 100, % of the optimum": lambda row: per_cent(spread(row), optimum(row)),
    "Converged by episode": convergence,
    "Distinct tokens of the last 100": lambda row: row["distinct_tokens_last_100"],
    "Return": greedy_return,
    "Return, sampled tokens": lambda row: played(row, SAMPLED)["mean_return"],
    "Return of `greedy`": lambda row: played(row, "greedy")["mean_return"],
    "Return of `fluent`": lambda row: played(row, "fluent")["mean_return"],
    "Return of `verbatim`": lambda row: played(row, "verbatim")["mean_return"],
    "Return of `random`": lambda row: played(row, "random")["mean_return"],
    "Optimum": optimum,
    "Score, %": lambda row: per_cent(greedy_return(row), optimum(row)),
    "Score, sampled tokens, %": lambda row: per_cent(played(row, SAMPLED)["mean_return"], optimum(row)),
    "Score on validation problems, %": validation_score,
    "Untrained policy: score, %": lambda row: per_cent(
        played(row, GREEDY, "untrained").get("mean_return"), optimum(row)
    ),
    "Untrained policy: score, sampled tokens, %": lambda row: per_cent(
        played(row, SAMPLED, "untrained").get("mean_return"), optimum(row)
    ),
    "Score of `greedy`, %": lambda row: per_cent(played(row, "greedy")["mean_return"], optimum(row)),
    "Score of `lookahead`, %": lambda row: per_cent(played(row, "lookahead").get("mean_return"), optimum(row)),
    "Score less that of `greedy`, points": lambda row: (
        100 * (greedy_return(row) - played(row, "greedy")["mean_return"]) / optimum(row)
    ),
    "Share of `greedy`, %": lambda row: per_cent(greedy_return(row), played(row, "greedy")["mean_return"]),
    "Return on training problems": lambda row: (row.get("training_problems") or {}).get("mean_return"),
    "Generalisation gap": gap,
    "Adequacy, commonest words, %": lambda row: adequacy(row, 0),
    "Adequacy, second words, %": lambda row: adequacy(row, 1),
    "Adequacy, third words, %": lambda row: adequacy(row, 2),
    "Adequacy, rarest words, %": lambda row: adequacy(row, 3),
    "Adequacy, rarest words of fast's messages, %": rarest_on_fast_messages,
    "Distinct tokens": lambda row: played(row, GREEDY)["distinct_tokens"],
    "Token perplexity": lambda row: played(row, GREEDY)["token_perplexity"],
}


def measured(rows: Sequence[Row], measure: Callable[[Row], float | None]) -> list[float | None]:
    """A measure of each run; a run that diverged has none."""
    return [None if row.get("diverged") is not None else measure(row) for row in rows]


# Summaries: over runs


def mean_interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """Student's t interval of a mean, in which values that all agree have no width."""
    if len(set(values)) == 1:
        return Interval(values[0], values[0], values[0])
    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values))
    return Interval(mean, mean - half, mean + half)


def welch(a: Sequence[float], b: Sequence[float], level: float = 0.95) -> Interval:
    """Welch's interval of the mean of `a` less that of `b`."""
    difference = float(np.mean(a) - np.mean(b))
    parts = [float(np.var(side, ddof=1)) / len(side) for side in (a, b)]
    total = sum(parts)
    if len(set(a)) == len(set(b)) == 1:
        return Interval(difference, difference, difference)
    freedom = total**2 / sum(part**2 / (len(side) - 1) for part, side in zip(parts, (a, b), strict=True))
    half = float(stats.t.ppf((1 + level) / 2, freedom)) * math.sqrt(total)
    return Interval(difference, difference - half, difference + half)


def interquartile_mean(values: Sequence[float]) -> float:
    """Mean of the middle half of the values."""
    return float(stats.trim_mean(values, 0.25))


def improvement(a: Sequence[float], b: Sequence[float]) -> float:
    """How often a value of `a` exceeds one of `b`, ties counting half."""
    return float(np.mean([(x > y) + 0.5 * (x == y) for x in a for y in b]))
