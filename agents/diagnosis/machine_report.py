"""Examine a machine: versions, devices, speed of matrix products and training, and recommended options."""

import os
import platform
from collections.abc import Collection
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from agents.diagnosis.advice import derive_advice
from agents.diagnosis.products import measure_multiplications
from agents.diagnosis.training_speed import measure_training
from agents.machine.devices import device_states, resolve_device
from agents.machine.matmul import FLOAT32, choose_products
from agents.machine.provenance import processor, versions
from agents.machine.speeds import record_speeds
from agents.machine.threads import thread_count
from agents.settings.layers import preset_layer

EXTRA_PACKAGES = ("sb3-contrib", "pydantic", "pandas", "sbx-rl")  # versions shown in addition to those recorded by runs


def examine(sizes: Collection[str]) -> dict[str, Any]:
    """Examine this machine, remember how fast it trains, and return the measurements and the advice as JSON types.

    Args:
        sizes: Sizes at which to measure the training.

    Raises:
        SettingError: A size is unknown.
    """
    for size in sizes:
        preset_layer(size)  # an unknown one is refused before anything is measured
    paths = measure_multiplications()
    training = [speed for size in sizes for speed in measure_training(size)]
    record_speeds(training)
    examination: dict[str, Any] = {
        "versions": versions() | {name: _installed_version(name) for name in EXTRA_PACKAGES},
        "machine": {
            "processor": processor(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "threads": thread_count(),
            "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        },
        "devices": device_states(),
        "chosen": resolve_device("auto"),
        "products": choose_products("auto", FLOAT32, resolve_device("auto"))._asdict(),
        "multiplications": [path._asdict() for path in paths],
        "training": [speed._asdict() for speed in training],
    }
    return examination | {"advice": derive_advice(examination)}


def _installed_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
