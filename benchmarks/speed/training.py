"""Measure the training speed of the trainers in `trainers.py`, on one core or on all: medians of interleaved repeats.

Two settings are measured: 64 environments, rollouts of one episode in two minibatches, and 4 epochs; and the shipped
presets. The roofline is the training speed if only matrix products took time, at the measured speed of the largest
product of an update in the trainer's precision. The head's share covers log-probabilities, entropies, their gradients
and samples, measured separately.
"""

import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
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
from agents.machine.threads import thread_count, threads_in_use
from agents.machine.usage import peak_memory_mb
from agents.settings.schema import Settings
from benchmarks.speed.trainers import (
    FAST,
    FAST_BF16,
    PLANNING,
    STOCK_BATCH,
    STOCK_LOOP,
    TIED,
    Trainer,
    preset_settings,
    shared_settings,
)
from benchmarks.speed.trainers import trainers as all_trainers
from token_env.languages.language import MIN_VOCAB, Language
from token_env.rules.dynamics import Dynamics

SIZES = ("fast", "stable")
REPEAT_FLOPS = 2.5e11  # floating-point operations of matrix products per repeat, at least one rollout
WIDEST_PRODUCT = 20_000  # columns of the measured matrix product at most, for the memory that it takes
SHORTEST_OF = 5  # repeats of a separately measured call; the shortest counts
GROWTH_VOCABULARIES = (1_000, 5_000, 10_000, 20_000, 50_000, 150_000)  # tokens
GROWTH_MESSAGES = 1_000  # tokens that messages use
GROWTH_TRAINERS = (STOCK_BATCH, FAST, FAST_BF16, TIED, PLANNING)
CAPTION = """\
Steps per CPU second and by the clock; busy: CPU seconds per second. ×: times SB3 with DummyVecEnv, and with our VecEnv,
by the clock if all cores are used. Roofline: share of what the matrix products alone allow on one core, in the
trainer's precision; —: tied and planning heads have other products. Shares of the time: collecting rollouts, updating,
and, of both together, the head. Run: seconds by the clock that the preset's episodes take, from its start, compilation
included: the first rollout, and the others at the speed by the clock."""


class RepeatTiming(NamedTuple):
    """The speed of one repeat."""

    cpu_rate: float  # steps per second of CPU time
    rate: float  # steps per second of wall-clock time
    collecting: float  # share of the CPU time spent on rollouts


class Timings(NamedTuple):
    """The measurements of one trainer."""

    first_rollout: float  # wall-clock seconds from building the model to the end of the first update
    head: float | None  # CPU seconds of the head per rollout and update; None if it cannot be measured separately
    repeats: list[RepeatTiming]

    def median(self, figure: str) -> float:
        """Return the median of a field of `RepeatTiming` over the repeats."""
        return median(getattr(repeat, figure) for repeat in self.repeats)


class Stopwatch(BaseCallback):
    """Callback that measures the CPU time of collecting rollouts."""

    collecting = 0.0  # CPU seconds
    _started = 0.0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._started = time.process_time()

    def _on_rollout_end(self) -> None:
        self.collecting += time.process_time() - self._started


def speed_tables(repeats: int, all_cores: bool = False) -> Group:
    """Build a table for each size with the shared settings, and one with the shipped preset.

    Args:
        repeats: Number of measurements per trainer.
        all_cores: Whether each trainer uses the threads that it uses by default: SB3 and sbx all cores, ours one.
    """
    with nullcontext() if all_cores else threads_in_use(1):
        shared = [_table(size, shared_settings(size), repeats) for size in SIZES]
        presets = [_table(f"{size}, as its preset", preset_settings(size), repeats) for size in SIZES]
        return Group(*shared, *presets, CAPTION)


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
    headings = (
        "steps/CPU s",
        "steps/s",
        "busy",
        "× loop",
        "× batch",
        "roofline",
        "collect",
        "update",
        "head",
        "run, s",
    )
    table.add_column("trainer")
    for heading in headings:
        table.add_column(heading, justify="right")
    for trainer, timing in timings.items():
        share = timing.median("cpu_rate") * flops_per_step(settings) / products[trainer.precision]
        roofline = f"{share:.0%}" if trainer.head == "fast" else "—"
        table.add_row(trainer.name, *_cells(timing, settings, roofline, timings))
    return table


def _cells(timing: Timings, settings: Settings, roofline: str, timings: dict[Trainer, Timings]) -> list[str]:
    rate, clock_rate, collecting = (timing.median(figure) for figure in ("cpu_rate", "rate", "collecting"))
    compared = "rate" if torch.get_num_threads() > 1 else "cpu_rate"
    ratios = [timing.median(compared) / timings[stock].median(compared) for stock in (STOCK_LOOP, STOCK_BATCH)]
    head = "—" if timing.head is None else f"{timing.head * rate / rollout_steps(settings):.0%}"
    later_steps = settings.episodes * settings.env.max_steps - rollout_steps(settings)
    run = timing.first_rollout + later_steps / clock_rate
    return [
        f"{rate:,.0f}",
        f"{clock_rate:,.0f}",
        f"{clock_rate / rate:.0%}",
        *(f"{ratio:.2f}" for ratio in ratios),
        roofline,
        f"{collecting:.0%}",
        f"{1.0 - collecting:.0%}",
        head,
        f"{run:,.0f}",
    ]


def measure(
    trainers: Iterable[Trainer],
    settings: Settings,
    repeats: int,
    share_of_head: bool = True,
    language: Language | None = None,
) -> tuple[dict[Trainer, Timings], dict[str, float]]:
    """Measure trainers in interleaved repeats.

    Args:
        trainers: Trainers to compare.
        settings: Settings of the training.
        repeats: Number of measurements per trainer.
        share_of_head: Whether to measure the head separately, for which all logits of a minibatch are allocated.
        language: Language of the task; None builds it from the settings.

    Returns:
        The timings of each trainer, and the floating-point operations per second of matrix products by precision.
    """
    rollouts = max(1, round(REPEAT_FLOPS / (flops_per_step(settings) * rollout_steps(settings))))
    models: dict[Trainer, OnPolicyAlgorithm] = {}
    timings: dict[Trainer, Timings] = {}
    for trainer in trainers:
        started = time.monotonic()
        models[trainer] = trainer.build(settings, language)
        _train(trainer, models[trainer], settings, 1)
        seconds = time.monotonic() - started
        head = _head_seconds(trainer, models[trainer], settings) if share_of_head else None
        timings[trainer] = Timings(seconds, head, [])
    products: dict[str, list[float]] = {}
    for _ in range(repeats):
        for trainer, model in models.items():
            timings[trainer].repeats.append(_train(trainer, model, settings, rollouts))
        for precision in (FLOAT32, BF16):
            products.setdefault(precision, []).append(matmul_flops_per_second(settings, precision))
    return timings, {precision: median(rates) for precision, rates in products.items()}


def _train(trainer: Trainer, model: OnPolicyAlgorithm, settings: Settings, rollouts: int) -> RepeatTiming:
    stopwatch, steps = Stopwatch(), rollouts * rollout_steps(settings)
    threads = thread_count() if trainer.library == "ours" else torch.get_num_threads()
    with trainer.products.in_use(), threads_in_use(threads):
        wall_start, cpu_start = time.monotonic(), time.process_time()
        model.learn(steps, callback=stopwatch, reset_num_timesteps=False)
        cpu, wall = time.process_time() - cpu_start, time.monotonic() - wall_start
    return RepeatTiming(steps / cpu, steps / wall, stopwatch.collecting / cpu)


def rollout_steps(settings: Settings) -> int:
    """Return the number of steps of a rollout, all environments together."""
    return settings.ppo.n_envs * settings.ppo.n_steps


def flops_per_step(settings: Settings) -> float:
    """Return the floating-point operations of the matrix products per step.

    A forward pass counts once when collecting, and three times (forward and backward) per epoch.
    """
    small = dataclasses.replace(settings.env, vocab_size=MIN_VOCAB, message_vocab=None)  # has the same columns
    widths = [len(Dynamics(small).observation_bounds[0]), *settings.policy.hidden]
    trunk = sum(inputs * outputs for inputs, outputs in pairwise(widths))
    return 2.0 * (2 * trunk + widths[-1] * (settings.env.vocab_size + 1)) * (1 + 3 * settings.ppo.n_epochs)


def matmul_flops_per_second(settings: Settings, precision: str) -> float:
    """Measure the floating-point operations per second of the largest matrix product of an update."""
    dtype = torch.bfloat16 if precision == BF16 else torch.float32
    rows, hidden = settings.ppo.batch_size, settings.policy.hidden[-1]
    vocab_size = min(settings.env.vocab_size, WIDEST_PRODUCT)
    left, right = torch.randn(rows, hidden).to(dtype), torch.randn(vocab_size, hidden).to(dtype)
    with choose_products("auto", precision, "cpu").in_use():
        return 2.0 * rows * hidden * vocab_size / _shortest_seconds(lambda: F.linear(left, right))


def _head_seconds(trainer: Trainer, model: OnPolicyAlgorithm, settings: Settings) -> float | None:
    """Measure the CPU seconds of the head per rollout and update; None for sbx."""
    if trainer.library == "sbx":
        return None
    section, tokens = settings.ppo, settings.env.vocab_size
    head: Any = model.policy.action_dist
    logits = torch.randn(section.batch_size, tokens, requires_grad=True)
    actions = torch.randint(tokens, (section.batch_size,))

    def update() -> None:
        distribution = head.proba_distribution(action_logits=logits)
        torch.autograd.backward(distribution.log_prob(actions).mean() + distribution.entropy().mean())

    def act() -> None:
        with torch.no_grad():
            distribution = head.proba_distribution(action_logits=logits[: section.n_envs])
            distribution.log_prob(distribution.get_actions())

    minibatches = section.n_epochs * rollout_steps(settings) / section.batch_size
    return minibatches * _shortest_seconds(update) + section.n_steps * _shortest_seconds(act)


def _shortest_seconds(call: Callable[[], object]) -> float:
    """Return the shortest CPU time of a call in `SHORTEST_OF` repeats, in seconds."""
    seconds = []
    for _ in range(SHORTEST_OF):
        started = time.process_time()
        call()
        seconds.append(time.process_time() - started)
    return min(seconds)


def growth_table(repeats: int) -> Table:
    """Build the table of speed and memory by vocabulary size: the shared settings of fast, a new process per cell.

    Messages use the most frequent `GROWTH_MESSAGES` tokens, because each word of a message takes an operation for every
    token that it may be.
    """
    table = Table(title=f"from fast to larger vocabularies, medians of {repeats}", title_justify="left")
    table.add_column("tokens", justify="right")
    trainers = [trainer for trainer in GROWTH_TRAINERS if not trainer.products.refused]
    for trainer in trainers:
        for heading in ("steps/CPU s", "roofline", "peak MB"):
            table.add_column(f"{trainer.name}: {heading}", justify="right")
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for vocab_size in GROWTH_VOCABULARIES:
            settings = shared_settings("fast", vocab_size=vocab_size, message_vocab=min(vocab_size, GROWTH_MESSAGES))
            language = Dynamics(settings.env).language
            results = [pool.apply(measure_growth, (trainer, settings, language, repeats)) for trainer in trainers]
            cells = [(f"{rate:,.0f}", f"{share:.0%}", f"{memory:,.0f}") for rate, share, memory in results]
            table.add_row(f"{vocab_size:,}", *(cell for group in cells for cell in group))
    return table


def measure_growth(
    trainer: Trainer, settings: Settings, language: Language, repeats: int
) -> tuple[float, float, float]:
    """Measure one trainer: steps per CPU second, share of the roofline, and peak memory in MB (10⁶ bytes)."""
    with threads_in_use(1):
        timings, products = measure([trainer], settings, repeats, share_of_head=False, language=language)
        rate = timings[trainer].median("cpu_rate")
        return rate, rate * flops_per_step(settings) / products[trainer.precision], peak_memory_mb()
