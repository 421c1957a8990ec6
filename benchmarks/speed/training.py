"""Measure how fast PPO trains on one core, in the ways of `trainers.py`: interleaved repeats, medians.

Twice: with 64 environments, 32 steps a rollout, minibatches of 1,024 and 4 epochs, and with the shipped presets.
The roofline is the speed at which the matrix products alone would train, at the rate at which the largest product of an
update is computed here and now, in the precision of the trainer. The head's share is that of log-probabilities,
entropies, their gradients and samples, measured alone.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from statistics import median
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812
from rich.console import Group
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.machine.matmul import BF16, FLOAT32, choose_products
from agents.machine.usage import peak_memory_mb
from agents.settings.schema import Settings
from benchmarks.speed.trainers import (
    FAST,
    FAST_BF16,
    STOCK_BATCH,
    STOCK_LOOP,
    Trainer,
    preset_settings,
    shared_settings,
)
from benchmarks.speed.trainers import trainers as all_trainers
from token_env.rules.dynamics import Dynamics

SIZES = ("fast", "stable")
REPEAT_WORK = 2.5e11  # floating-point operations of matrix products in a repeat, but at least a rollout
TRIALS = 5  # of what is measured alone, of which the shortest counts
GROWTH = (1_000, 2_000, 5_000, 10_000, 20_000, 50_000)  # tokens
GROWN = (STOCK_BATCH, FAST, FAST_BF16)
CAPTION = """\
Steps per CPU second and by the clock. ×: times SB3 with DummyVecEnv, and with our VecEnv. Roofline: share of what the
matrix products alone allow, in the trainer's precision; —: the tied head's are others. Shares of the time: collecting
rollouts, updating, and, of both together, the head. Run: seconds by the clock that the preset's episodes take, from
its start, compilation included: the first rollout, and the others at the speed by the clock."""


class Measured(NamedTuple):
    """What a repeat took."""

    cpu_rate: float  # steps a second of processor time
    rate: float  # steps a second of the clock
    collecting: float  # share of the processor time


class Timings(NamedTuple):
    """What is known of a trainer."""

    first_rollout: float  # seconds of the clock, from building on
    head: float | None  # seconds of processor time in a rollout and its update; None where it cannot be taken apart
    repeats: list[Measured]

    def median(self, figure: str) -> float:
        """Of the repeats."""
        return median(getattr(one, figure) for one in self.repeats)


class Stopwatch(BaseCallback):
    """Tells how much processor time collecting has taken."""

    collecting = 0.0  # seconds
    _started = 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._started = time.process_time()

    def _on_rollout_end(self) -> None:
        self.collecting += time.process_time() - self._started


def speed_tables(repeats: int) -> Group:
    """A table for each size, with the shared settings and with the shipped presets."""
    with one_thread():
        shared = [_table(size, shared_settings(size), repeats) for size in SIZES]
        presets = [_table(f"{size}, as its preset", preset_settings(size), repeats) for size in SIZES]
        return Group(*shared, *presets, CAPTION)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread for a while."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _table(title: str, settings: Settings, repeats: int) -> Table:
    timings, products = measure(all_trainers(), settings, repeats)
    section = settings.ppo
    networks = f"{settings.env.vocab_size:,} tokens, hidden units {list(settings.policy.hidden)}"
    rollouts = f"{section.n_envs} × {section.n_steps} steps, minibatches of {section.batch_size:,}"
    rates = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in products.items())
    table = Table(
        title=f"{title}: {networks}; {rollouts}, {section.n_epochs} epochs; products at {rates}; medians of {repeats}",
        title_justify="left",
    )
    headings = ("steps/CPU s", "steps/s", "× loop", "× batch", "roofline", "collect", "update", "head", "run, s")
    table.add_column("trainer")
    for heading in headings:
        table.add_column(heading, justify="right")
    for trainer, timing in timings.items():
        share = timing.median("cpu_rate") * work(settings) / products[trainer.precision]
        roofline = "—" if trainer.head == "tied" else f"{share:.0%}"
        table.add_row(trainer.name, *_cells(timing, settings, roofline, timings))
    return table


def _cells(timing: Timings, settings: Settings, roofline: str, timings: dict[Trainer, Timings]) -> list[str]:
    rate, collecting = timing.median("cpu_rate"), timing.median("collecting")
    ratios = [rate / timings[stock].median("cpu_rate") for stock in (STOCK_LOOP, STOCK_BATCH)]
    head = "—" if timing.head is None else f"{timing.head * rate / rollout(settings):.0%}"
    run = timing.first_rollout + (settings.episodes * settings.env.max_steps - rollout(settings)) / timing.median(
        "rate"
    )
    return [
        f"{rate:,.0f}",
        f"{timing.median('rate'):,.0f}",
        *(f"{ratio:.2f}" for ratio in ratios),
        roofline,
        f"{collecting:.0%}",
        f"{1.0 - collecting:.0%}",
        head,
        f"{run:,.0f}",
    ]


def measure(
    trainers: Iterable[Trainer], settings: Settings, repeats: int
) -> tuple[dict[Trainer, Timings], dict[str, float]]:
    """Timings of trainers in turn, and the floating-point operations a second of products in each precision."""
    rollouts = max(1, round(REPEAT_WORK / (work(settings) * rollout(settings))))
    models: dict[Trainer, OnPolicyAlgorithm] = {}
    timings: dict[Trainer, Timings] = {}
    for trainer in trainers:
        started = time.monotonic()
        models[trainer] = trainer.build(settings)
        _train(trainer, models[trainer], settings, 1)
        taken = time.monotonic() - started
        timings[trainer] = Timings(taken, _head_seconds(trainer, models[trainer], settings), [])
    products: dict[str, list[float]] = {}
    for _ in range(repeats):
        for trainer, model in models.items():
            timings[trainer].repeats.append(_train(trainer, model, settings, rollouts))
        for precision in (FLOAT32, BF16):
            products.setdefault(precision, []).append(products_per_second(settings, precision))
    return timings, {precision: median(rates) for precision, rates in products.items()}


def _train(trainer: Trainer, model: OnPolicyAlgorithm, settings: Settings, rollouts: int) -> Measured:
    watch, steps = Stopwatch(), rollouts * rollout(settings)
    with trainer.products.in_use():
        wall, started = time.monotonic(), time.process_time()
        model.learn(steps, callback=watch, reset_num_timesteps=False)
        taken, wall = time.process_time() - started, time.monotonic() - wall
    return Measured(steps / taken, steps / wall, watch.collecting / taken)


def rollout(settings: Settings) -> int:
    """Steps of a rollout."""
    return settings.ppo.n_envs * settings.ppo.n_steps


def work(settings: Settings) -> float:
    """Floating-point operations of the matrix products for one step: forward once, and in every epoch three times."""
    widths = [len(Dynamics(settings.env).observation_bounds[0]), *settings.policy.hidden]
    trunk = sum(one * other for one, other in pairwise(widths))
    return 2.0 * (2 * trunk + widths[-1] * (settings.env.vocab_size + 1)) * (1 + 3 * settings.ppo.n_epochs)


def products_per_second(settings: Settings, precision: str) -> float:
    """Floating-point operations a second of the largest product of an update."""
    kind = torch.bfloat16 if precision == BF16 else torch.float32
    rows, hidden, vocab_size = settings.ppo.batch_size, settings.policy.hidden[-1], settings.env.vocab_size
    left, right = torch.randn(rows, hidden).to(kind), torch.randn(vocab_size, hidden).to(kind)
    with choose_products("auto", precision, "cpu").in_use():
        return 2.0 * rows * hidden * vocab_size / _shortest(lambda: F.linear(left, right))


def _head_seconds(trainer: Trainer, model: OnPolicyAlgorithm, settings: Settings) -> float | None:
    """Processor time of the head in a rollout and its update."""
    if trainer.library == "sbx":
        return None
    section, tokens = settings.ppo, settings.env.vocab_size
    head: Any = model.policy.action_dist
    logits = torch.randn(section.batch_size, tokens, requires_grad=True)
    actions = torch.randint(tokens, (section.batch_size,))

    def update() -> None:
        of_batch = head.proba_distribution(action_logits=logits)
        torch.autograd.backward(of_batch.log_prob(actions).mean() + of_batch.entropy().mean())

    def act() -> None:
        with torch.no_grad():
            of_rows = head.proba_distribution(action_logits=logits[: section.n_envs])
            of_rows.log_prob(of_rows.get_actions())

    minibatches = section.n_epochs * rollout(settings) / section.batch_size
    return minibatches * _shortest(update) + section.n_steps * _shortest(act)


def _shortest(call: Callable[[], object]) -> float:
    """Processor time of a call, in seconds."""
    seconds = []
    for _ in range(TRIALS):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


def growth_table(repeats: int) -> Table:
    """How speed and memory change with the vocabulary: the shared settings of fast, a process of its own for each."""
    table = Table(title=f"from fast to larger vocabularies, medians of {repeats}", title_justify="left")
    table.add_column("tokens", justify="right")
    compared = [trainer for trainer in GROWN if not trainer.products.refused]
    for trainer in compared:
        for heading in ("steps/CPU s", "roofline", "peak MB"):
            table.add_column(f"{trainer.name}: {heading}", justify="right")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for vocab_size in GROWTH:
            measured = [pool.apply(grown, (trainer, vocab_size, repeats)) for trainer in compared]
            cells = [(f"{rate:,.0f}", f"{share:.0%}", f"{memory:,.0f}") for rate, share, memory in measured]
            table.add_row(f"{vocab_size:,}", *(cell for three in cells for cell in three))
    return table


def grown(trainer: Trainer, vocab_size: int, repeats: int) -> tuple[float, float, float]:
    """Steps a CPU second, share of the roofline and peak memory in MB (10⁶ bytes) of one trainer."""
    settings = shared_settings("fast", vocab_size=vocab_size)
    with one_thread():
        timings, products = measure([trainer], settings, repeats)
    rate = timings[trainer].median("cpu_rate")
    return rate, rate * work(settings) / products[trainer.precision], peak_memory_mb()
