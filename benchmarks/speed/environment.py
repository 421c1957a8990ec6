"""Measure the speed of the environment behind every interface, problem generation included.

The figure is steps per second of CPU time, summed over all participating processes: the cost of a step, comparable
between a batch in one process and one process per row, and hardly affected by other load of the machine. Interfaces
with several processes can use several cores: their speed by the clock is higher, at most by the number of cores.

Interfaces with one process per row are measured at 8 rows only. Each process builds its own language: at 5,000 tokens,
64 processes took 42 seconds to start on two cores, and made no more steps per second than 8, because every step sends
a message to a process and back.
"""

import gc
import multiprocessing
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from statistics import median
from typing import Any, Literal, NamedTuple

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray
from rich.table import Table
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from agents.algorithms.vec_env import TokenVecEnv
from token_env import SIZES
from token_env.env import TokenEnv
from token_env.languages.synthetic import synthetic
from token_env.rules.problems import BLOCK

MEASURED_SIZES = ("fast", "stable")
ROWS = (8, 64, 256, 1024)
PROCESS_ROWS = 8  # largest number of rows of interfaces with one process per row
EPISODES = BLOCK  # episodes per row of a batch and repeat: a row draws problems once per BLOCK episodes
LOOP_STEPS = 4_000  # steps per repeat of interfaces that step rows one after another, at least one episode per row
MASK_ROWS, MASK_VOCAB, MASK_CALLS = 256, 5000, 20
CAPTION = """\
Problem generation included; CPU seconds of all processes together. With masks: action_masks() of all
rows is asked for at every step. —: would start a process a row, and cost as much a step as 8 rows."""


class TimedEnv(TokenEnv):
    """Environment that reports the CPU time of its process."""

    def cpu_seconds(self) -> float:
        """Return the CPU time of this process, in seconds."""
        return time.process_time()


class Subject(NamedTuple):
    """An open interface to N environments."""

    reset: Callable[[], object]
    step: Callable[[NDArray[np.int64]], object]  # takes one action per row, [N]
    masks: Callable[[], object]  # returns action masks, [N, V]
    close: Callable[[], None]
    cpu_seconds: Callable[[], float] = time.process_time  # CPU time of all its processes together


class Interface(NamedTuple):
    """A way to step N environments."""

    name: str
    open: Callable[[str, Sequence[TimedEnv]], Subject]  # takes the size, and N environments to use or only to count
    kind: Literal["single", "batch", "loop", "processes"]  # one row, all at once, one by one, one process per row


def _plain_env(size: str, envs: Sequence[TimedEnv]) -> Subject:  # noqa: ARG001
    (env,) = envs

    def step(actions: NDArray[np.int64]) -> None:
        if env.step(int(actions[0]))[2]:
            env.reset()

    return Subject(partial(env.reset, seed=0), step, env.action_masks, env.close)


def _make_vec(size: str, envs: Sequence[TimedEnv]) -> Subject:
    env: Any = gymnasium.make_vec(
        "TokenTask-v0", num_envs=len(envs), autoreset_mode=AutoresetMode.SAME_STEP, **SIZES[size]
    )
    return Subject(partial(env.reset, seed=0), env.step, env.action_masks, env.close)


def _sync(size: str, envs: Sequence[TimedEnv]) -> Subject:  # noqa: ARG001
    return _gymnasium(SyncVectorEnv([partial(_identity, env) for env in envs], autoreset_mode=AutoresetMode.SAME_STEP))


def _async(size: str, envs: Sequence[TimedEnv]) -> Subject:
    constructors = [partial(TimedEnv, **SIZES[size]) for _ in envs]
    env = AsyncVectorEnv(constructors, context="forkserver", autoreset_mode=AutoresetMode.SAME_STEP)
    return _gymnasium(env)._replace(cpu_seconds=lambda: time.process_time() + sum(env.call("cpu_seconds")))


def _gymnasium(env: SyncVectorEnv | AsyncVectorEnv) -> Subject:
    return Subject(partial(env.reset, seed=0), env.step, lambda: np.stack(env.call("action_masks")), env.close)


def _token_vec_env(size: str, envs: Sequence[TimedEnv]) -> Subject:
    return _stable_baselines(TokenVecEnv(len(envs), **SIZES[size]))


def _dummy(size: str, envs: Sequence[TimedEnv]) -> Subject:  # noqa: ARG001
    return _stable_baselines(DummyVecEnv([partial(_identity, env) for env in envs]))


def _subproc(size: str, envs: Sequence[TimedEnv]) -> Subject:
    env = SubprocVecEnv([partial(TimedEnv, **SIZES[size]) for _ in envs], start_method="forkserver")
    subject = _stable_baselines(env)
    return subject._replace(cpu_seconds=lambda: time.process_time() + sum(env.env_method("cpu_seconds")))


def _stable_baselines(env: VecEnv) -> Subject:
    def reset() -> None:
        env.seed(0)
        env.reset()

    return Subject(reset, env.step, lambda: np.stack(env.env_method("action_masks")), env.close)


def _identity(env: TimedEnv) -> TimedEnv:
    return env


INTERFACES = (
    Interface("the plain Env", _plain_env, "single"),
    Interface("gymnasium.make_vec", _make_vec, "batch"),
    Interface("Gymnasium SyncVectorEnv", _sync, "loop"),
    Interface("Gymnasium AsyncVectorEnv", _async, "processes"),
    Interface("our SB3 VecEnv", _token_vec_env, "batch"),
    Interface("SB3 DummyVecEnv", _dummy, "loop"),
    Interface("SB3 SubprocVecEnv", _subproc, "processes"),
)

Rates = dict[tuple[str, int, str, bool], list[float]]  # by interface, rows, size, with masks or without


def speed_table(repeats: int) -> Table:
    """Build the table of steps per second of CPU time, and of the time to build a language and to compute masks."""
    multiprocessing.set_forkserver_preload(["benchmarks.__main__"])  # imports torch once for all processes
    rates: Rates = {}
    for size in MEASURED_SIZES:
        _measure(size, repeats, rates)
    table = Table(title=f"steps per CPU second, medians of {repeats}", title_justify="left", caption=CAPTION)
    table.caption_justify = "left"
    table.add_column("interface")
    for heading in ("rows", *(f"{size}{suffix}" for size in MEASURED_SIZES for suffix in ("", ", with masks"))):
        table.add_column(heading, justify="right")
    for interface in INTERFACES:
        for rows in (1,) if interface.kind == "single" else ROWS:
            keys = [(interface.name, rows, size, masks) for size in MEASURED_SIZES for masks in (False, True)]
            cells = [f"{median(rates[key]):,.0f}" if key in rates else "—" for key in keys]
            table.add_row(interface.name, f"{rows:,}", *cells)
        table.add_section()
    for size in MEASURED_SIZES:
        seconds = median(_seconds_to_build(size) for _ in range(repeats))
        table.add_row(f"making the language of {size}", "", f"{seconds * 1e3:,.0f} ms")
    milliseconds = median(_mask_milliseconds() for _ in range(repeats))
    table.add_row(f"masks, V = {MASK_VOCAB:,}", f"{MASK_ROWS}", f"{milliseconds:.2f} ms")
    return table


def _measure(size: str, repeats: int, rates: Rates) -> None:
    """Measure all interfaces `repeats` times, interleaved, and add the results to `rates`."""
    with ExitStack() as stack:
        envs = [TimedEnv(**SIZES[size]) for _ in range(max(ROWS))]
        subjects: dict[tuple[Interface, int], Subject] = {}
        for interface in INTERFACES:
            for rows in _measured_rows(interface):
                subject = interface.open(size, envs[:rows])
                stack.callback(subject.close)
                subjects[interface, rows] = subject
        gc.freeze()  # otherwise the environments of one interface slow the garbage collection of another
        stack.callback(gc.unfreeze)
        for _ in range(repeats):
            for (interface, rows), subject in subjects.items():
                for masks in (False, True):
                    rate = _rate(subject, size, rows, _steps(interface, size, rows), masks)
                    rates.setdefault((interface.name, rows, size, masks), []).append(rate)


def _measured_rows(interface: Interface) -> tuple[int, ...]:
    if interface.kind == "single":
        return (1,)
    return tuple(rows for rows in ROWS if interface.kind != "processes" or rows <= PROCESS_ROWS)


def _steps(interface: Interface, size: str, rows: int) -> int:
    """Return the steps per row of a repeat: whole episodes, so that problem generation counts in proportion."""
    length: int = SIZES[size]["max_steps"]
    return length * (max(1, LOOP_STEPS // (rows * length)) if interface.kind in ("single", "loop") else EPISODES)


def _rate(subject: Subject, size: str, rows: int, steps: int, masks: bool) -> float:
    """Return the steps of single rows per CPU second."""
    actions = np.random.default_rng(0).integers(SIZES[size]["vocab_size"], size=(steps, rows))
    subject.reset()
    subject.masks()  # warm-up
    started = subject.cpu_seconds()
    for action in actions:
        subject.step(action)
        if masks:
            subject.masks()
    return steps * rows / (subject.cpu_seconds() - started)


def _seconds_to_build(size: str) -> float:
    synthetic.cache_clear()
    started = time.perf_counter()
    language = synthetic(SIZES[size]["vocab_size"])
    _ = language.rarity_floor
    return time.perf_counter() - started


def _mask_milliseconds() -> float:
    """Return the mean CPU time of `action_masks` of a batch, in milliseconds."""
    env: Any = gymnasium.make_vec("TokenTask-v0", num_envs=MASK_ROWS, vocab_size=MASK_VOCAB)
    env.reset(seed=0)
    env.action_masks()  # warm-up
    started = time.process_time()
    for _ in range(MASK_CALLS):
        env.action_masks()
    return 1e3 * (time.process_time() - started) / MASK_CALLS
