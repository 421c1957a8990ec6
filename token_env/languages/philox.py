"""Draw random numbers that depend on a key and a counter only, not on earlier draws.

Raw Philox-4x64 words are used instead of NumPy's distributions: the words of a counter-based generator are fixed
(Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011), but NumPy's conversion of words to
normals may change between versions.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


class PhiloxWords:
    """Random 64-bit words, addressed by (stream, attempt, block) under a key of strings."""

    def __init__(self, *key: str) -> None:
        digest = hashlib.sha256("\0".join(key).encode()).digest()
        self._generator = np.random.Philox(key=np.frombuffer(digest[:16], dtype="<u8").astype(np.uint64))
        self._state = self._generator.state  # with the counter at 0 0 0 0

    def draw(self, count: int, *, stream: int = 0, attempt: int = 0, block: int = 0) -> NDArray[np.uint64]:
        """Return the first `count` words at this address, uint64 [count]; longer draws extend shorter ones."""
        counter = self._state["state"]["counter"]
        counter[1], counter[2], counter[3] = block, attempt, stream
        self._generator.state = self._state
        return self._generator.random_raw(count)


def uniform(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map words to float64 in [0, 1) with 53 random bits; same shape."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Map words [..., 2n] to float64 standard normals of the same shape (Box and Muller, 1958)."""
    radius = np.sqrt(-2.0 * np.log1p(-uniform(words[..., 0::2])))
    angle = (2.0 * np.pi) * uniform(words[..., 1::2])
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def normal_pairs(words: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Map words [..., n] to float32 standard normals [..., 2n]; each half of a word becomes one 24-bit uniform."""
    halves = (words.astype("<u8", copy=False).view("<u4") >> np.uint32(8)).astype(np.float32)  # low, high, low, …
    radius = np.sqrt(np.float32(-2.0) * np.log((halves[..., 0::2] + np.float32(0.5)) * np.float32(2.0**-24)))
    angle = halves[..., 1::2] * np.float32(2.0 * np.pi * 2.0**-24)
    count = words.shape[-1]
    normals = np.empty((*words.shape[:-1], 2 * count), dtype=np.float32)
    np.multiply(radius, np.cos(angle), out=normals[..., :count])
    np.multiply(radius, np.sin(angle), out=normals[..., count:])
    return normals
