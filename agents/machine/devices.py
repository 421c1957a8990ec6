"""Choose the torch device of a run: mps, then cuda, then cpu."""

import subprocess
import sys
from functools import cache

import torch

from token_env.errors import SettingError, unknown_name

PREFERRED = ("mps", "cuda", "cpu")  # "auto" takes the first one that can be used
DEVICES = ("auto", *sorted(PREFERRED))
SMOKE_TEST_SECONDS = 60.0  # time limit, which includes the import of torch and the start of a driver
# Operations that every training needs, on the device named by the first argument.
SMOKE_TEST = """
import sys, torch
matrix = torch.ones(8, 8, device=sys.argv[1], requires_grad=True)
product = matrix @ matrix
product.softmax(dim=1).square().sum().backward()
assert product.sum().item() == 512 and matrix.grad.isfinite().all().item(), "it computes wrong numbers"
"""


def available_devices() -> list[str]:
    """Return the device types that can be used on this machine, the preferred one first."""
    return [kind for kind in PREFERRED if not unavailable_reason(kind)]


def device_states() -> dict[str, str]:
    """Return the state of each device type in words, the preferred type first."""
    return {kind: unavailable_reason(kind) or "can be used" for kind in PREFERRED}


def unavailable_reason(device: str) -> str:
    """Return why a device cannot be used; empty if it passed the smoke test, and for the cpu."""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return ""
    if kind == "mps":
        built, count = torch.backends.mps.is_built(), int(torch.backends.mps.is_available())
    else:
        built = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) < count:
        failure = smoke_test_failure(device)
        return failure and f"present, but fails to compute: {failure}"
    return "not present" if built else "this build of torch does not support it"


@cache
def smoke_test_failure(device: str) -> str:
    """Run the smoke test on a device in a separate process and return its failure; empty if it passed.

    The test is needed because torch lists devices that cannot allocate memory; it has its own process and a time limit
    because a broken driver may hang or abort.
    """
    command = [sys.executable, "-P", "-c", SMOKE_TEST, device]
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=SMOKE_TEST_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {SMOKE_TEST_SECONDS:g} seconds"
    lines = process.stderr.strip().splitlines() or ["no message"]
    return f"exit code {process.returncode}, {lines[-1]}" if process.returncode else ""


def resolve_device(name: str) -> str:
    """Return the torch device of this name; "auto" returns the first of `PREFERRED` that can be used.

    SB3's own "auto" never chooses mps, so SB3 always receives the device resolved here.

    Raises:
        SettingError: The device is unknown, or cannot be used on this machine.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise unknown_name("device", name, DEVICES)
    if kind == "auto":
        return next(kind for kind in PREFERRED if not unavailable_reason(kind))
    reason = unavailable_reason(name)
    if reason:
        raise SettingError(
            f"device {name!r} cannot be used: {reason}. This machine has {', '.join(available_devices())}; "
            "type --device auto."
        )
    return name


def device_reason(name: str) -> str:
    """Return why `resolve_device` chooses its device: the preferred device types, each with its problem."""
    if name != "auto":
        return "as asked"
    skipped = PREFERRED[: PREFERRED.index(resolve_device(name))]
    return ", ".join(f"{kind}: {unavailable_reason(kind)}" for kind in skipped) or "preferred device, usable"
