"""Record the provenance of a run: command, git revision, library versions and machine."""

import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.machine.threads import thread_count

LIBRARIES = ("tokentask", "gymnasium", "stable-baselines3", "torch", "numpy", "scipy")
COMMAND_SECONDS = 10.0  # time limit of git and sysctl


def provenance(device: str, device_reason: str) -> dict[str, Any]:
    """Return the provenance of a run as plain values for JSON.

    Args:
        device: Torch device of the training.
        device_reason: Reason why this device was chosen.
    """
    return {
        "command": [word.encode(errors="backslashreplace").decode() for word in sys.argv],
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
        "threads": thread_count(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that determine a run, by distribution."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def revision() -> str | None:
    """Return the git revision of this code, with `-dirty` if tracked files have changed; None outside a checkout."""
    home = Path(__file__).parents[2]
    if not (home / ".git").exists():  # an installed package: a repository further up is not this one
        return None
    return _output("git", "-C", str(home), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def processor() -> str:
    """Return the model name of the processor, or its architecture if the name is unknown."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string") or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _output(*command: str) -> str | None:
    """Return the output of a command; None if it cannot be run or fails."""
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
