"""Measure how fast the environment steps, problem generation included, on one core."""

import time
from collections.abc import Callable
from statistics import median

import gymnasium
import numpy as np
from rich.table import Table

from agents.vec_env import TokenVecEnv
from token_env import SIZES
from token_env.synthetic import synthetic

MEASURED_SIZES = ("fast", "stable")
ROWS = (8, 64, 256, 1024)
ENV_STEPS = 12_000  # of the plain environment, in a repeat
BATCH_STEPS = 240  # of a batch, in a repeat: some episodes, so that drawing problems has its share


def speed_table(repeats: int) -> Table:
    """Steps per second of processor time, and how long a language takes to make."""
    cases = {(kind, rows): case for kind, rows, case in _cases()}
    rates: dict[tuple[str, int, str], list[float]] = {}
    builds: dict[str, list[float]] = {}
    for _ in range(repeats):
        for size in MEASURED_SIZES:
            builds.setdefault(size, []).append(_seconds_to_build(size))
            for (kind, rows), case in cases.items():
                rates.setdefault((kind, rows, size), []).append(case(size))
    table = Table(title=f"steps per CPU second, medians of {repeats}", title_justify="left")
    table.add_column("environment")
    table.add_column("rows", justify="right")
    for size in MEASURED_SIZES:
        table.add_column(size, justify="right")
    for kind, rows in cases:
        table.add_row(kind, str(rows), *(f"{median(rates[kind, rows, size]):,.0f}" for size in MEASURED_SIZES))
    table.add_section()
    table.add_row("building the language, s", "", *(f"{median(builds[size]):.2f}" for size in MEASURED_SIZES))
    return table


def _cases() -> list[tuple[str, int, Callable[[str], float]]]:
    return [
        ("Env", 1, _env_rate),
        *(("VectorEnv", rows, lambda size, rows=rows: _vector_rate(size, rows)) for rows in ROWS),
        *(("SB3 VecEnv", rows, lambda size, rows=rows: _vec_rate(size, rows)) for rows in ROWS),
    ]


def _env_rate(size: str) -> float:
    env = gymnasium.make("TokenTask-v0", **SIZES[size]).unwrapped
    actions = _actions(size, ENV_STEPS).tolist()
    env.reset(seed=0)
    started = time.process_time()
    for action in actions:
        if env.step(action)[2]:
            env.reset()
    return ENV_STEPS / (time.process_time() - started)


def _vector_rate(size: str, rows: int) -> float:
    env = gymnasium.make_vec("TokenTask-v0", num_envs=rows, **SIZES[size])
    env.reset(seed=0)
    return _batch_rate(env.step, size, rows)


def _vec_rate(size: str, rows: int) -> float:
    env = TokenVecEnv(rows, **SIZES[size])
    env.reset()
    return _batch_rate(env.step, size, rows)


def _batch_rate(step: Callable[[np.ndarray], object], size: str, rows: int) -> float:
    actions = _actions(size, BATCH_STEPS * rows).reshape(BATCH_STEPS, rows)
    started = time.process_time()
    for action in actions:
        step(action)
    return BATCH_STEPS * rows / (time.process_time() - started)


def _actions(size: str, count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(SIZES[size]["vocab_size"], size=count)


def _seconds_to_build(size: str) -> float:
    synthetic.cache_clear()
    started = time.perf_counter()
    language = synthetic(SIZES[size]["vocab_size"])
    _ = language.rarity_floor
    return time.perf_counter() - started
