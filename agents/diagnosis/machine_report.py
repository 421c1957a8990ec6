"""Examine a machine: versions, devices, how fast it multiplies and trains, and what follows from that."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from agents.algorithms.models import build_learner
from agents.diagnosis.advice import advice
from agents.diagnosis.products import multiplications
from agents.machine.devices import device_states, resolve_device
from agents.machine.matmul import FLOAT32, choose_products
from agents.machine.provenance import processor, versions
from agents.machine.usage import peak_memory_mb
from agents.policies.bf16 import multiply_in
from agents.settings.layers import make_settings, preset_layer

BESIDE = ("sb3-contrib", "pydantic", "pandas", "sbx-rl")  # versions told beside those that a run records


def examine(sizes: Iterable[str]) -> dict[str, Any]:
    """Everything about this machine, as JSON holds it.

    Args:
        sizes: of which a rollout is trained.

    Raises:
        SettingError: an unknown size.
    """
    layers = {size: preset_layer(size) for size in sizes}
    paths = multiplications()
    training = {size: trained(layer) for size, layer in layers.items()}
    found: dict[str, Any] = {
        "versions": versions() | {name: _version_if_any(name) for name in BESIDE},
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
    return found | {"advice": advice(found)}


def trained(preset: dict[str, Any]) -> dict[str, Any]:
    """What a rollout and its update take with PPO, on the preferred device."""
    settings = make_settings(preset)
    device = resolve_device("auto")
    products = choose_products(settings.matmul, settings.precision, device)
    model = build_learner(settings, device).model
    multiply_in(model.policy, products.precision)
    steps = settings.ppo.n_envs * settings.ppo.n_steps
    with products.in_use():
        started, cpu_started = time.perf_counter(), time.process_time()
        model.learn(steps)
        taken, cpu_taken = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "steps_per_second": round(steps / taken, 1),
        "run_seconds": round(settings.episodes * settings.env.max_steps * taken / steps, 1),
        "busy": round(cpu_taken / taken, 3),  # processor time in a second of the clock
        "peak_memory_mb": peak_memory_mb(),
    }


def _version_if_any(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
