"""Read and set every generator of random numbers that a training draws from, so that it can go on where it was."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

States = dict[str, Any]  # plain values, as JSON holds them


def generator_states(device: str) -> States:
    """The states of the generators of python, numpy and torch, and of torch's on this device.

    SB3 seeds them all from the run's seed. The environments draw from none of them: their problems follow from ids.
    """
    words = np.random.get_state(legacy=False)  # noqa: NPY002 (SB3 draws from it)
    assert isinstance(words, dict)
    states = {
        "python": random.getstate(),
        "numpy": words | {"state": {name: np.asarray(value).tolist() for name, value in words["state"].items()}},
        "torch": _coded(torch.get_rng_state()),
    }
    if device.startswith("cuda"):
        states["cuda"] = _coded(torch.cuda.get_rng_state(device))
    elif device.startswith("mps"):
        states["mps"] = _coded(torch.mps.get_rng_state())
    return states


def set_generators(states: States, device: str) -> None:
    """Set all generators to what `generator_states` read; those of a device that was not used then stay."""
    version, words, gauss = states["python"]
    random.setstate((version, tuple(words), gauss))
    numpy_state = states["numpy"]["state"]
    key = np.array(numpy_state["key"], dtype=np.uint32)
    np.random.set_state(states["numpy"] | {"state": numpy_state | {"key": key}})  # noqa: NPY002
    torch.set_rng_state(_decoded(states["torch"]))
    if device.startswith("cuda") and "cuda" in states:
        torch.cuda.set_rng_state(_decoded(states["cuda"]), device)
    elif device.startswith("mps") and "mps" in states:
        torch.mps.set_rng_state(_decoded(states["mps"]))


@contextmanager
def preserved_generators(device: str) -> Iterator[None]:
    """Leave all generators as they were, whatever is drawn inside."""
    states = generator_states(device)
    try:
        yield
    finally:
        set_generators(states, device)


def _coded(state: torch.Tensor) -> str:
    return bytes(state.cpu().numpy()).hex()


def _decoded(state: str) -> torch.Tensor:
    return torch.frombuffer(bytearray.fromhex(state), dtype=torch.uint8)
