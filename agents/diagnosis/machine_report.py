"""Examine a machine: versions, devices, speed of matrix products and training, and recommended options."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from agents.algorithms.models import build_learner
from agents.diagnosis.advice import derive_advice
from agents.diagnosis.products import measure_multiplications
from agents.machine.devices import device_states, resolve_device
from agents.machine.matmul import FLOAT32, choose_products
from agents.machine.provenance import processor, versions
from agents.machine.usage import peak_memory_mb
from agents.policies.bf16 import set_linear_precision
from agents.settings.layers import make_settings, preset_layer

EXTRA_PACKAGES = ("sb3-contrib", "pydantic", "pandas", "sbx-rl")  # versions shown in addition to those recorded by runs


def examine(sizes: Iterable[str]) -> dict[str, Any]:
    """Examine this machine, and return the measurements and the advice as JSON types.

    Args:
        sizes: Sizes at which to measure the training.

    Raises:
        SettingError: A size is unknown.
    """
    layers = {size: preset_layer(size) for size in sizes}
    paths = measure_multiplications()
    training = {size: measure_training(layer) for size, layer in layers.items()}
    examination: dict[str, Any] = {
        "versions": versions() | {name: _installed_version(name) for name in EXTRA_PACKAGES},
        "machine": {
            "processor": processor(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        },
        "devices": device_states(),
        "chosen": resolve_device("auto"),
        "products": choose_products("auto", FLOAT32, resolve_device("auto"))._asdict(),
        "multiplications": [path._asdict() for path in paths],
        "training": training,
    }
    return examination | {"advice": derive_advice(examination)}


def measure_training(preset: dict[str, Any]) -> dict[str, Any]:
    """Measure one rollout and its update with PPO on the preferred device: steps/s, seconds, memory in megabytes."""
    settings = make_settings(preset)
    device = resolve_device("auto")
    products = choose_products(settings.matmul, settings.precision, device)
    model = build_learner(settings, device).model
    set_linear_precision(model.policy, products.precision)
    steps = settings.ppo.n_envs * settings.ppo.n_steps
    with products.in_use():
        start, cpu_start = time.perf_counter(), time.process_time()
        model.learn(steps)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    return {
        "steps_per_second": round(steps / seconds, 1),
        "run_seconds": round(settings.episodes * settings.env.max_steps * seconds / steps, 1),
        "busy": round(cpu_seconds / seconds, 3),  # processor seconds per wall-clock second
        "peak_memory_mb": peak_memory_mb(),
    }


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
