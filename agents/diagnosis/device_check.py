"""Check on a device what a training asks of it, against the CPU: the same update, legal draws, memory that stays.

What is computed there is compared with what the CPU computes from the same numbers, so that a device that is wrong
and not merely slow is found before a training is trusted to it.
"""

import os
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch.distributions import Categorical

from agents.algorithms.models import build_learner
from agents.algorithms.table import ALGORITHMS
from agents.machine.devices import resolve_device
from agents.machine.provenance import provenance
from agents.machine.usage import device_memory_mb, peak_memory_mb
from agents.policies import categorical
from agents.policies.actor_critic import PLAIN
from agents.runs.weights import own_weights
from agents.settings.layers import make_settings, preset_layer

SMALL = {
    "ppo": {"n_envs": 4, "batch_size": 16, "n_epochs": 1, "learning_rate_schedule": "constant"},
    "a2c": {"n_envs": 4, "learning_rate_schedule": "constant"},
    "trpo": {"n_envs": 4, "batch_size": 16, "n_critic_updates": 1},
    "recurrent_ppo": {"lstm_hidden_size": 16},
}
# Of the largest change of a weight, by which updates may differ: conjugate gradients amplify rounding, so that two of
# TRPO's updates on one CPU were 4 % apart.
TOLERANCE = {"trpo": 0.25}
TOLERANCE_OF_OTHERS = 0.02
TOKENS, ROWS, BATCHES = 1000, 1000, 1000  # a million draws: a fault of one draw in 30,000 was seen on mps
UPDATES = 40  # the first half warms up
MOST_GROWTH_MB = 1.0  # an update


class DeviceCheckResult(NamedTuple):
    """What one check found."""

    name: str
    passed: bool
    found: dict[str, Any]  # figures, as JSON holds them


def check_device(name: str) -> dict[str, Any]:
    """A report on a device: whether it passed, each check with its figures, and what it was made with.

    Args:
        name: as `--device` takes it.

    Raises:
        SettingError: an unknown device, or one on which nothing can be computed.
    """
    device = resolve_device(name)
    checks = [same_update(device, algorithm, head) for algorithm in ALGORITHMS for head in PLAIN]
    checks += [legal_draws(device), *(steady_memory(device, algorithm) for algorithm in ("ppo", "recurrent-ppo"))]
    return {
        "device": device,
        "passed": all(check.passed for check in checks),
        "checks": [check._asdict() for check in checks],
        "made_with": provenance(device, "as asked"),
        "mps_fallback": os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK"),
    }


def same_update(device: str, algorithm: str, head: str) -> DeviceCheckResult:
    """Whether one update from the same weights and rollout gives the weights that it gives on the CPU."""
    name = f"update of {algorithm} with the {head} head"
    ours, theirs = small_model(algorithm, head, "cpu"), small_model(algorithm, head, device)
    start = weights_of(ours)
    rollout = SameRollout()
    ours.learn(1, callback=rollout)
    theirs.learn(1, callback=SameRollout(rollout.arrays))
    expected, got = weights_of(ours), weights_of(theirs)
    moved = max(float((expected[part] - start[part]).abs().max()) for part in start)
    gap = max(float((expected[part] - got[part]).abs().max()) for part in start)
    allowed = moved * TOLERANCE.get(algorithm, TOLERANCE_OF_OTHERS)
    figures = {"largest_change": moved, "largest_difference": gap, "allowed": allowed}
    return DeviceCheckResult(name, moved > 0 and gap <= allowed, figures)


def legal_draws(device: str) -> DeviceCheckResult:
    """Whether tokens of probability 0 are never drawn, neither by torch nor by `agents/policies/categorical.py`."""
    torch.manual_seed(0)
    logits = torch.randn(ROWS, TOKENS).masked_fill_(torch.rand(ROWS, TOKENS) < 0.5, -torch.inf)
    there, legal = logits.to(device), torch.isfinite(logits)
    torchs = Categorical(logits=there, validate_args=False)
    illegal = {"torch": 0, "ours": 0}
    for _ in range(BATCHES):
        drawn_by_torch = torchs.sample()  # type: ignore[no-untyped-call]
        for whose, drawn in (("torch", drawn_by_torch), ("ours", categorical.sample(there))):
            tokens = drawn.cpu().clamp(-1, TOKENS)  # beyond both ends nothing is legal
            inside = (tokens >= 0) & (tokens < TOKENS)
            allowed = legal.gather(1, tokens.clamp(0, TOKENS - 1)[:, None]).squeeze(1) & inside
            illegal[whose] += int((~allowed).sum())
    found = {"draws": ROWS * BATCHES, "tokens": TOKENS} | {f"illegal_by_{whose}": n for whose, n in illegal.items()}
    return DeviceCheckResult("draws that are masked or out of range", not any(illegal.values()), found)


def steady_memory(device: str, algorithm: str) -> DeviceCheckResult:
    """Whether memory stays what it is once the first updates are over."""
    model = small_model(algorithm, "fast", device)
    section = make_settings(preset_layer("tiny"), SMALL, {"algorithm": algorithm}).hyperparameters
    memory = MemoryReadings(device)
    model.learn(UPDATES * section.n_envs * section.n_steps, callback=memory)
    growth = {kind: growth_per_update(readings) for kind, readings in memory.readings.items() if readings}
    name = f"memory of {UPDATES} updates of {algorithm}"
    last = {f"{kind}_mb": readings[-1] for kind, readings in memory.readings.items() if readings}
    grown = {f"{kind}_mb_an_update": value for kind, value in growth.items()}
    return DeviceCheckResult(name, max(growth.values()) <= MOST_GROWTH_MB, last | grown)


def growth_per_update(readings: list[float]) -> float:
    """The slope of the second half of these readings, one an update."""
    late = readings[len(readings) // 2 :]
    return float(np.polyfit(np.arange(len(late)), late, 1)[0])


def small_model(algorithm: str, head: str, device: str) -> OnPolicyAlgorithm:
    """A model of the preset tiny, whose rollouts are 32 steps; of the same seed, so of the same weights everywhere."""
    settings = make_settings(preset_layer("tiny"), SMALL, {"algorithm": algorithm, "policy": {"head": head}})
    return build_learner(settings, device).model  # which seeds its environment


def weights_of(model: OnPolicyAlgorithm) -> dict[str, torch.Tensor]:
    """Copies of all weights, on the CPU."""
    return {name: weight.cpu().clone() for name, weight in own_weights(model.policy).items()}


class SameRollout(BaseCallback):
    """Keeps the first rollout, or puts one that was kept in its place; minibatches are drawn alike."""

    def __init__(self, arrays: dict[str, NDArray[Any]] | None = None) -> None:
        super().__init__()
        self.arrays = arrays

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        buffer = vars(self.model.rollout_buffer)
        if self.arrays is None:
            self.arrays = {name: part.copy() for name, part in buffer.items() if isinstance(part, np.ndarray)}
        else:
            buffer |= {name: part.copy() for name, part in self.arrays.items()}
        np.random.seed(0)  # noqa: NPY002  # SB3's buffers draw from it


class MemoryReadings(BaseCallback):
    """Reads memory, of the device and of the process at its peak, after every rollout."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device
        self.readings: dict[str, list[float]] = {"device": [], "process": []}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.readings["process"].append(peak_memory_mb())
        of_device = device_memory_mb(self._device)
        self.readings["device"] += [] if of_device is None else [of_device]
