"""Choose the device: mps, then cuda, then cpu; and tell how much of it is used."""

import subprocess
import sys
from functools import cache

import torch

from token_env.errors import SettingError, unknown_name

PREFERRED = ("mps", "cuda", "cpu")  # by auto, the first that can be used
DEVICES = ("auto", *sorted(PREFERRED))
TRIAL_SECONDS = 60.0  # that a trial may take, the import of torch and the start of a driver included
# What every training does, on the device that the first argument names.
TRIAL = """
import sys, torch
matrix = torch.ones(8, 8, device=sys.argv[1], requires_grad=True)
product = matrix @ matrix
product.softmax(dim=1).square().sum().backward()
assert product.sum().item() == 512 and matrix.grad.isfinite().all().item(), "it computes wrong numbers"
"""


def available_devices() -> list[str]:
    """The devices that can be used here, the preferred one first."""
    return [kind for kind in PREFERRED if not why_not(kind)]


def device_states() -> dict[str, str]:
    """What there is to say of each kind of device, the preferred one first."""
    return {kind: why_not(kind) or "can be used" for kind in PREFERRED}


def why_not(device: str) -> str:
    """Why nothing can be computed on a device; empty if it was tried and worked, and for the cpu."""
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return ""
    if kind == "mps":
        built, count = torch.backends.mps.is_built(), int(torch.backends.mps.is_available())
    else:
        built = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(index or 0) < count:
        failure = trial_failure(device)
        return failure and f"is there, but cannot compute: {failure}"
    return "there is none" if built else "this torch is built without it"


@cache
def trial_failure(device: str) -> str:
    """What went wrong when a process of its own computed on the device; empty if nothing did.

    Torch may name devices that cannot allocate, and a broken driver may wait for ever or end the process.
    """
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", TRIAL, device], capture_output=True, text=True, timeout=TRIAL_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {TRIAL_SECONDS:g} seconds"
    lines = tried.stderr.strip().splitlines() or ["no message"]
    return f"exit code {tried.returncode}, {lines[-1]}" if tried.returncode else ""


def resolve_device(name: str) -> str:
    """The device to use for this name; `auto` is the preferred one of those that can be used.

    SB3's own "auto" never chooses mps, so it is always given the device resolved here.

    Raises:
        SettingError: an unknown device, or one that cannot be used here.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise unknown_name("device", name, DEVICES)
    if kind == "auto":
        return next(kind for kind in PREFERRED if not why_not(kind))
    reason = why_not(name)
    if reason:
        raise SettingError(
            f"device {name!r} cannot be used: {reason}. This machine has {', '.join(available_devices())}; "
            "type --device auto."
        )
    return name


def device_reason(asked: str) -> str:
    """Why `resolve_device` gives what it does for this name: those that come before, and what is wrong with them."""
    if asked != "auto":
        return "as asked"
    before = PREFERRED[: PREFERRED.index(resolve_device(asked))]
    return ", ".join(f"{kind}: {why_not(kind)}" for kind in before) or "it comes first, and a trial worked"
