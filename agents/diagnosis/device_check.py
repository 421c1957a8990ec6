"""Check a device against the CPU: equal updates, no illegal draws, constant memory.

The device and the CPU compute from the same numbers. The comparison reveals a device that computes wrong results before
a training relies on it.
"""

import os
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch.distributions import Categorical

from agents.algorithms.models import build_learner
from agents.algorithms.table import ALGORITHMS
from agents.algorithms.tensor_buffer import TensorRolloutBuffer
from agents.machine.devices import resolve_device
from agents.machine.provenance import provenance
from agents.machine.usage import device_memory_mb, peak_memory_mb
from agents.policies import categorical
from agents.policies.actor_critic import PLAIN
from agents.runs.weights import unique_weights
from agents.settings.layers import make_settings, preset_layer

SMALL_SETTINGS = {
    "ppo": {"n_envs": 4, "batch_size": 16, "n_epochs": 1, "learning_rate_schedule": "constant"},
    "a2c": {"n_envs": 4, "learning_rate_schedule": "constant"},
    "grpo": {"n_envs": 4, "group_size": 2, "batch_size": 16, "n_epochs": 1, "learning_rate_schedule": "constant"},
    "trpo": {"n_envs": 4, "batch_size": 16, "n_critic_updates": 1},
    "recurrent_ppo": {"lstm_hidden_size": 16},
}
# Allowed difference of updates, as a share of the largest change of a weight. Conjugate gradients amplify rounding: two
# updates of TRPO on one CPU differed by 4 %.
TOLERANCE = {"trpo": 0.25}
DEFAULT_TOLERANCE = 0.02
TOKENS, ROWS, BATCHES = 1000, 1000, 1000  # a million draws: mps once drew one illegal token in 30,000
UPDATES = 40  # the first half is warm-up
MAX_GROWTH_MB = 1.0  # per update


class DeviceCheckResult(NamedTuple):
    """Result of one check."""

    name: str
    passed: bool
    found: dict[str, Any]  # measured figures, JSON types only


def check_device(name: str) -> dict[str, Any]:
    """Check a device; return the verdict, the figures of each check, and the versions, as JSON types.

    Args:
        name: Device as for `--device`.

    Raises:
        SettingError: The device is unknown or cannot compute.
    """
    device = resolve_device(name)
    checks = [check_update(device, algorithm, head) for algorithm in ALGORITHMS for head in PLAIN]
    checks += [check_draws(device), *(check_memory(device, algorithm) for algorithm in ("ppo", "recurrent-ppo"))]
    return {
        "device": device,
        "passed": all(check.passed for check in checks),
        "checks": [check._asdict() for check in checks],
        "made_with": provenance(device, "as asked"),
        "mps_fallback": os.environ.get("PYTORCH_ENABLE_MPS_FALLBACK"),
    }


def check_update(device: str, algorithm: str, head: str) -> DeviceCheckResult:
    """Check that one update from the same weights and rollout gives the same weights as on the CPU."""
    name = f"update of {algorithm} with the {head} head"
    cpu_model, device_model = build_small_model(algorithm, head, "cpu"), build_small_model(algorithm, head, device)
    start = copy_weights(cpu_model)
    rollout = ReplayRollout()
    cpu_model.learn(1, callback=rollout)
    device_model.learn(1, callback=ReplayRollout(rollout.arrays))
    expected, actual = copy_weights(cpu_model), copy_weights(device_model)
    change = max(float((expected[part] - start[part]).abs().max()) for part in start)
    difference = max(float((expected[part] - actual[part]).abs().max()) for part in start)
    allowed = change * TOLERANCE.get(algorithm, DEFAULT_TOLERANCE)
    figures = {"largest_change": change, "largest_difference": difference, "allowed": allowed}
    return DeviceCheckResult(name, change > 0 and difference <= allowed, figures)


def check_draws(device: str) -> DeviceCheckResult:
    """Check that torch and `agents/policies/categorical.py` never draw tokens of probability 0."""
    torch.manual_seed(0)
    logits = torch.randn(ROWS, TOKENS).masked_fill_(torch.rand(ROWS, TOKENS) < 0.5, -torch.inf)
    device_logits, legal = logits.to(device), torch.isfinite(logits)
    torch_distribution = Categorical(logits=device_logits, validate_args=False)
    illegal = {"torch": 0, "ours": 0}
    for _ in range(BATCHES):
        torch_tokens = torch_distribution.sample()  # type: ignore[no-untyped-call]
        for sampler, raw_tokens in (("torch", torch_tokens), ("ours", categorical.sample(device_logits))):
            tokens = raw_tokens.cpu().clamp(-1, TOKENS)  # -1 and TOKENS stand for tokens out of range
            inside = (tokens >= 0) & (tokens < TOKENS)
            allowed = legal.gather(1, tokens.clamp(0, TOKENS - 1)[:, None]).squeeze(1) & inside
            illegal[sampler] += int((~allowed).sum())
    figures = {"draws": ROWS * BATCHES, "tokens": TOKENS}
    figures |= {f"illegal_by_{sampler}": count for sampler, count in illegal.items()}
    return DeviceCheckResult("draws that are masked or out of range", not any(illegal.values()), figures)


def check_memory(device: str, algorithm: str) -> DeviceCheckResult:
    """Check that memory does not grow after the first updates."""
    model = build_small_model(algorithm, "fast", device)
    section = make_settings(preset_layer("tiny"), SMALL_SETTINGS, {"algorithm": algorithm}).hyperparameters
    memory = MemoryCallback(device)
    model.learn(UPDATES * section.n_envs * section.n_steps, callback=memory)
    growth = {kind: growth_per_update(readings) for kind, readings in memory.readings.items() if readings}
    name = f"memory of {UPDATES} updates of {algorithm}"
    last = {f"{kind}_mb": readings[-1] for kind, readings in memory.readings.items() if readings}
    slopes = {f"{kind}_mb_an_update": value for kind, value in growth.items()}
    return DeviceCheckResult(name, max(growth.values()) <= MAX_GROWTH_MB, last | slopes)


def growth_per_update(readings: list[float]) -> float:
    """Fit the slope of the second half of the readings, in megabytes per update."""
    late = readings[len(readings) // 2 :]
    return float(np.polyfit(np.arange(len(late)), late, 1)[0])


def build_small_model(algorithm: str, head: str, device: str) -> OnPolicyAlgorithm:
    """Build a model of the preset tiny with rollouts of 32 steps; equal seeds give equal weights on every device."""
    settings = make_settings(preset_layer("tiny"), SMALL_SETTINGS, {"algorithm": algorithm, "policy": {"head": head}})
    return build_learner(settings, device).model  # SB3 seeds the environment


def copy_weights(model: OnPolicyAlgorithm) -> dict[str, torch.Tensor]:
    """Copy all weights to the CPU, by name."""
    return {name: weight.cpu().clone() for name, weight in unique_weights(model.policy).items()}


class ReplayRollout(BaseCallback):
    """Records the first rollout, or replaces it by a recorded one; seeds the order of minibatches."""

    def __init__(self, arrays: dict[str, NDArray[Any]] | None = None) -> None:
        super().__init__()
        self.arrays = arrays

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        buffer: Any = self.model.rollout_buffer
        of_tensors = isinstance(buffer, TensorRolloutBuffer)
        columns: dict[str, Any] = buffer.tensors if of_tensors else vars(buffer)
        if self.arrays is None:
            parts = {name: part.cpu().numpy() if of_tensors else part for name, part in columns.items()}
            self.arrays = {name: part.copy() for name, part in parts.items() if isinstance(part, np.ndarray)}
        else:
            convert = partial(torch.tensor, device=self.model.device) if of_tensors else np.copy
            columns |= {name: convert(part) for name, part in self.arrays.items()}
        np.random.seed(0)  # noqa: NPY002  # SB3's buffers use the global generator


class MemoryCallback(BaseCallback):
    """Records device memory and peak process memory in megabytes after every rollout."""

    def __init__(self, device: str) -> None:
        super().__init__()
        self._device = device
        self.readings: dict[str, list[float]] = {"device": [], "process": []}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.readings["process"].append(peak_memory_mb())
        device_mb = device_memory_mb(self._device)
        self.readings["device"] += [] if device_mb is None else [device_mb]
