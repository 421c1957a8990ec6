"""Choose the device: mps, then cuda, then cpu; and tell how much of it is used."""

import torch

from token_env.errors import SettingError, unknown_name

DEVICES = ("auto", "cpu", "cuda", "mps")


def available_devices() -> list[str]:
    """The devices this machine has, the preferred one first."""
    mps = ["mps"] if torch.backends.mps.is_available() and _computes("mps") else []
    cuda = ["cuda"] if torch.cuda.is_available() and _computes("cuda") else []
    return [*mps, *cuda, "cpu"]


def device_states() -> dict[str, str]:
    """What there is to say of each kind of device, the preferred one first."""
    able = available_devices()
    with_mps: bool = torch.backends.mps.is_built()
    with_cuda: bool = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
    built = {"mps": with_mps, "cuda": with_cuda, "cpu": True}
    there = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available(), "cpu": True}

    def state(kind: str) -> str:
        if kind in able:
            return "can be used"
        if there[kind]:
            return "is there, but cannot compute"
        return "there is none" if built[kind] else "this torch is built without it"

    return {kind: state(kind) for kind in built}


def _computes(device: str) -> bool:
    """Whether a product and its gradient can be computed there: torch may name devices that cannot allocate."""
    try:
        matrix = torch.ones(8, 8, device=device, requires_grad=True)
        (matrix @ matrix).softmax(dim=1).sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError):  # torch asserts that it was built for the device
        return False
    return True


def resolve_device(name: str) -> str:
    """The device to use for this name; `auto` is the preferred one of those there are.

    SB3's own "auto" never chooses mps, so it is always given the device resolved here.

    Raises:
        SettingError: an unknown device, or one that this machine does not have.
    """
    kind, _, index = name.partition(":")
    if kind not in DEVICES or (index and not index.isdigit()):
        raise unknown_name("device", name, DEVICES)
    available = available_devices()
    if kind == "auto":
        return available[0]
    if kind not in available or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise SettingError(f"this machine has no device {name!r}; it has {', '.join(available)}. Type --device auto.")
    return name


def device_use(device: str) -> float | None:
    """How busy the device was in the last moment, in per cent of the time.

    None where it cannot be read: on the cpu, on mps, and on cuda without NVIDIA's library (`pip install nvidia-ml-py`).
    """
    if not device.startswith("cuda"):
        return None
    try:
        return float(torch.cuda.utilization(device))
    except (ImportError, RuntimeError):
        return None


def device_memory_mb(device: str) -> float | None:
    """Memory of the device that this process has used, in MB (10⁶ bytes); None on the cpu.

    On cuda the most that tensors held at once, on mps what the driver holds now (shared with the cpu).
    """
    if device.startswith("cuda"):
        return float(torch.cuda.max_memory_allocated(device) / 1e6)
    return float(torch.mps.driver_allocated_memory() / 1e6) if device == "mps" else None
