"""Say what a run was made with: command, revision, versions, machine; and what it took of the machine."""

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

LIBRARIES = ("tokentask", "gymnasium", "stable-baselines3", "torch", "numpy", "scipy")
ANSWER_SECONDS = 10.0  # that git or the system may take


def provenance(device: str, device_reason: str) -> dict[str, Any]:
    """What a run is made with, as JSON holds it.

    Args:
        device: the one it trains on.
        device_reason: why on this one.
    """
    return {
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "revision": revision(),
        "versions": versions(),
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "processor": processor(),
            "cores": os.cpu_count(),
            "device": device,
            "device_reason": device_reason,
        },
        "threads": torch.get_num_threads(),
    }


def versions() -> dict[str, str]:
    """The versions that a run depends on, by distribution."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def revision() -> str | None:
    """The git revision of this code, `-dirty` behind it if a tracked file was changed; None outside a checkout."""
    home = Path(__file__).parents[2]
    if not (home / ".git").exists():  # installed: a repository further up is not ours
        return None
    return _answer("git", "-C", str(home), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def processor() -> str:
    """What the processor calls itself, or its architecture where it does not say."""
    if sys.platform == "darwin":
        return _answer("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _answer(*command: str) -> str | None:
    """What a command prints; None if it cannot be run or fails."""
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return told.stdout.strip()
