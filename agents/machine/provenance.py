"""Record the provenance of a run: command, git revision, library versions and machine."""

import os
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agents.machine.processor import command_output, this_processor
from agents.machine.threads import thread_count
from agents.machine.usage import load_average

LIBRARIES = ("tokentask", "gymnasium", "stable-baselines3", "torch", "numpy", "scipy")
DIRTY = "-dirty"  # end of the revision of a checkout with changes
HOME = Path(__file__).parents[2]  # the checkout, if this code is not installed
CODE = ("token_env", "agents", "configs", "benchmarks", ":(exclude)benchmarks/results")  # what a result depends on


def provenance(device: str, device_reason: str) -> dict[str, Any]:
    """Return the provenance of a run as plain values for JSON.

    Args:
        device: Torch device of the training.
        device_reason: Reason why this device was chosen.
    """
    processor = this_processor()
    return {
        "command": [word.encode(errors="backslashreplace").decode() for word in sys.argv],
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "revision": revision(),
        "versions": versions(),
        "machine": {
            "host": platform.node(),
            "system": platform.platform(),
            "processor": processor.name,
            "vendor": processor.vendor,
            "family": processor.family,
            "model": processor.model,
            "instruction_sets": processor.instruction_sets,
            "torch_kernels": processor.torch_kernels,
            "cores": os.cpu_count(),
            "device": device,
            "device_reason": device_reason,
        },
        "threads": thread_count(),
        "load": load_average(),
    }


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that determine a run, by distribution."""
    return {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES}


def revision() -> str | None:
    """Return the git revision of this code, with `-dirty` if `changed_files` names any; None outside a checkout."""
    changed = changed_files()
    commit = None if changed is None else _git("describe", "--always", "--abbrev=12", "--exclude=*")
    return f"{commit}{DIRTY}" if commit and changed else commit


def changed_files() -> list[str] | None:
    """Return the tracked files of the packages that differ from the last commit; None outside a checkout.

    Results files do not count: a benchmark appends to them while it runs.
    """
    output = _git("diff", "--name-only", "HEAD", "--", *CODE)
    return None if output is None else output.splitlines()


def _git(*words: str) -> str | None:
    """Return the output of a git command on this checkout; None outside a checkout."""
    if not (HOME / ".git").exists():  # an installed package: a repository further up is not this one
        return None
    return command_output("git", "-C", str(HOME), *words)


def processor() -> str:
    """Return the model name of the processor, or its architecture if the name is unknown."""
    return this_processor().name
