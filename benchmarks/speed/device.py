"""Measure what each device makes of a training: where rollouts are played, and whether minibatches are compiled.

Torch's operators are counted, without those that only look at a tensor. On a GPU each is at least one launch, and the
host waits for the device whenever it reads a number of a tensor, or copies one to itself.
"""

from collections.abc import Callable, Mapping
from statistics import median
from typing import Any, NamedTuple

import torch
from rich.console import Group
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback
from torch.utils._python_dispatch import TorchDispatchMode

from agents.algorithms.models import build_learner
from agents.machine.devices import available_devices
from agents.machine.matmul import choose_products
from agents.machine.provenance import processor
from agents.machine.threads import threads_in_use
from agents.machine.usage import Clock, device_memory_mb, device_use, peak_memory_mb
from agents.policies.compiled import compile_evaluation
from agents.settings.layers import make_settings, preset_layer
from agents.settings.schema import Settings
from token_env.errors import SettingError

SECONDS = 1.0  # shortest time of a measurement by the clock; at least one rollout and its update
# Many rows, minibatches of 8,192 or a fifth of a rollout, one epoch: environments, steps in a minibatch.
MANY_ROWS, MANY_ROWS_ON_CPU = (4096, 8192), (256, 2560)
COPIES = ("aten::copy_", "aten::_to_copy")
READS = ("aten::_local_scalar_dense", "aten::nonzero")
CAPTION = """\
Steps per second by the clock: of rollouts and updates, and of rollouts alone. Operators: calls of torch per step of all
environments, and per minibatch. Waits: how often the host waits for the device, per rollout and per minibatch; on a
CPU, for which nobody waits, how often a number of a tensor is read. Busy: of a GPU, by its driver; of a CPU, processor
seconds per second. Memory: of tensors on cuda, held by the driver on mps, of the process so far on a CPU."""


class Variant(NamedTuple):
    """What trains: a device, and what is done on it."""

    device: str
    threads: int = 1
    rollouts: str = "device"  # or "host": SB3's own, which step the environment on the host
    compiled: bool = False


class Rates(NamedTuple):
    """Steps per second by the clock, and how busy the device was."""

    training: float
    rollouts: float
    busy: float | None  # share of the time; None if it is unknown


class Counts(NamedTuple):
    """Operators and waits."""

    per_step: float  # operators per step of all environments
    per_minibatch: float
    waits_per_rollout: float
    waits_per_minibatch: float


class Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the operators that torch is asked for, and the waits of the host."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls = self.waits = 0

    def __torch_dispatch__(self, operator: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        answer, name = operator(*args, **(kwargs or {})), operator._schema.name
        if not any(value.alias_info and not value.alias_info.is_write for value in operator._schema.returns):
            self.calls += 1
            arrives = name in COPIES and answer.device.type == "cpu"
            leaves = any(isinstance(leaf, torch.Tensor) and leaf.device.type != "cpu" for leaf in args)
            self.waits += name in READS or (arrives and leaves)
        return answer


class Phases(BaseCallback):
    """Reads something at the start and at the end of every rollout, and adds the differences up.

    Args:
        read: Returns the numbers to read.
    """

    def __init__(self, read: Callable[[], tuple[float, ...]]) -> None:
        super().__init__()
        self._read = read
        self.totals: tuple[float, ...] = ()
        self._before: tuple[float, ...] = ()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self._before = self._read()

    def _on_rollout_end(self) -> None:
        passed = [after - before for before, after in zip(self._before, self._read(), strict=True)]
        self.totals = tuple(map(sum, zip(self.totals, passed, strict=True))) if self.totals else tuple(passed)


class Training:
    """A training that has made its first rollout and update.

    Args:
        settings: Settings of PPO.
        variant: What is compared.

    Raises:
        SettingError: It is to be compiled, but no compiler works.
    """

    def __init__(self, settings: Settings, variant: Variant) -> None:
        self._variant, section = variant, settings.ppo
        self._products = choose_products(settings.matmul, settings.precision, variant.device)
        self._model = build_learner(settings, variant.device, on_host=variant.rollouts == "host").model
        if variant.compiled:
            compile_evaluation(self._model.policy)
        self._steps, self._rollout = section.n_envs * section.n_steps, section.n_steps
        self._minibatches = section.n_epochs * self._steps // section.batch_size
        self._learn(Phases(tuple))

    def _learn(self, phases: Phases) -> None:
        """Make a rollout and its update."""
        with self._products.in_use(), threads_in_use(self._variant.threads):
            self._model.learn(self._steps, callback=phases, reset_num_timesteps=False)
            next(self._model.policy.parameters()).sum().item()  # wait for the device

    def measure(self) -> Rates:
        """Measure rollouts and updates."""
        clock, rollouts, seconds = Clock(), 0, 0.0
        phases = Phases(lambda: clock.read()[:1])
        while seconds < SECONDS:
            self._learn(phases)
            rollouts += 1
            seconds, cpu_seconds = clock.read()
        use = device_use(self._variant.device)
        busy = cpu_seconds / seconds if self._variant.device == "cpu" else use and use / 100
        steps = rollouts * self._steps
        return Rates(steps / seconds, steps / phases.totals[0], busy)

    def count(self) -> Counts | None:
        """Count the operators of a rollout and its update; None of a compiled one, whose operators are fused."""
        if self._variant.compiled:
            return None
        with Operators() as operators:
            phases = Phases(lambda: (operators.calls, operators.waits))
            self._learn(phases)
        calls, waits = phases.totals
        return Counts(
            calls / self._rollout,
            (operators.calls - calls) / self._minibatches,
            waits,
            (operators.waits - waits) / self._minibatches,
        )


def speed_tables(repeats: int) -> Group:
    """Build a table for the presets fast and stable, and one for stable with many rows."""
    shapes = {
        size: dict.fromkeys(available_devices(), make_settings(preset_layer(size))) for size in ("fast", "stable")
    }
    shapes["stable, many rows"] = {device: many_rows(device) for device in available_devices()}
    return Group(*(_table(title, settings, repeats) for title, settings in shapes.items()), CAPTION)


def many_rows(device: str) -> Settings:
    """Return the settings of stable with as many rows as suit the device."""
    rows, minibatch = MANY_ROWS_ON_CPU if device == "cpu" else MANY_ROWS
    return make_settings(preset_layer("stable"), {"ppo": {"n_envs": rows, "batch_size": minibatch, "n_epochs": 1}})


def variants() -> list[Variant]:
    """Return what to compare on this machine, the preferred device first."""
    kinds = []
    for device in available_devices():
        kinds += [Variant(device, rollouts="host"), Variant(device), Variant(device, compiled=True)]
        if device == "cpu" and torch.get_num_threads() > 1:
            kinds.append(Variant(device, torch.get_num_threads()))
    return kinds


def _table(title: str, settings: Mapping[str, Settings], repeats: int) -> Table:
    shapes = ", ".join(
        f"{one.ppo.n_envs:,} environments and minibatches of {one.ppo.batch_size:,} on {device}"
        for device, one in settings.items()
    )
    table = Table(title=f"{title}: {shapes}; {processor()}, medians of {repeats}", title_justify="left")
    for heading in ("device", "threads", "rollouts", "compiled"):
        table.add_column(heading)
    figures = ("steps/s", "rollouts", "operators", "waits", "busy", "memory, MB")
    for heading in figures:
        table.add_column(heading, justify="right")
    trainings: dict[Variant, Training] = {}
    for variant in variants():
        try:
            trainings[variant] = Training(settings[variant.device], variant)
        except SettingError as error:
            table.add_row(*_names(variant), str(error).partition(";")[0], *[""] * (len(figures) - 1))
    rates: dict[Variant, list[Rates]] = {variant: [] for variant in trainings}
    for _ in range(repeats):
        for variant, training in trainings.items():
            rates[variant].append(training.measure())
    for variant, training in trainings.items():
        table.add_row(*_names(variant), *_cells(rates[variant], training.count(), variant.device))
    return table


def _names(variant: Variant) -> list[str]:
    return [variant.device, str(variant.threads), variant.rollouts, "yes" if variant.compiled else "no"]


def _cells(rates: list[Rates], counts: Counts | None, device: str) -> list[str]:
    training, rollouts, busy = zip(*rates, strict=True)
    known = [share for share in busy if share is not None]
    memory = device_memory_mb(device) or peak_memory_mb()
    return [
        f"{median(training):,.0f}",
        f"{median(rollouts):,.0f}",
        f"{counts.per_step:,.0f}, {counts.per_minibatch:,.0f}" if counts else "—",
        f"{counts.waits_per_rollout:,.0f}, {counts.waits_per_minibatch:,.0f}" if counts else "—",
        f"{median(known):.0%}" if known else "—",
        f"{memory:,.0f}",
    ]
