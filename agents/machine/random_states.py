"""Save and restore the random number generators of a training, so that it can be resumed exactly."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

States = dict[str, Any]  # plain values for JSON


def generator_states(device: str) -> States:
    """Return the states of the generators of Python, NumPy and torch, and of torch's generator on this device.

    SB3 seeds all of them from the run's seed. The environments use none of them: problems follow from their ids.
    """
    numpy_state = np.random.get_state(legacy=False)  # noqa: NPY002 (SB3 draws from it)
    assert isinstance(numpy_state, dict)
    words = {name: np.asarray(value).tolist() for name, value in numpy_state["state"].items()}
    states = {
        "python": random.getstate(),
        "numpy": numpy_state | {"state": words},
        "torch": _to_hex(torch.get_rng_state()),
    }
    if device.startswith("cuda"):
        states["cuda"] = _to_hex(torch.cuda.get_rng_state(device))
    elif device.startswith("mps"):
        states["mps"] = _to_hex(torch.mps.get_rng_state())
    return states


def set_generators(states: States, device: str) -> None:
    """Restore all generators from `generator_states`; a device generator without a saved state stays unchanged."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = states["numpy"]["state"]
    key = np.array(numpy_state["key"], dtype=np.uint32)
    np.random.set_state(states["numpy"] | {"state": numpy_state | {"key": key}})  # noqa: NPY002
    torch.set_rng_state(_from_hex(states["torch"]))
    if device.startswith("cuda") and "cuda" in states:
        torch.cuda.set_rng_state(_from_hex(states["cuda"]), device)
    elif device.startswith("mps") and "mps" in states:
        torch.mps.set_rng_state(_from_hex(states["mps"]))


@contextmanager
def preserved_generators(device: str) -> Iterator[None]:
    """Restore all generators at the end of the context."""
    states = generator_states(device)
    try:
        yield
    finally:
        set_generators(states, device)


def _to_hex(state: torch.Tensor) -> str:
    return bytes(state.cpu().numpy()).hex()


def _from_hex(state: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8)
