"""The two terms of the reward: what a token earns for its meaning, and what it costs to be surprising."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def adequacy(cosine: NDArray[np.floating], weight: Floats, scale: float) -> Floats:
    """α w max(0, m·x), elementwise.

    Args:
        cosine: m·x, of the meaning said and the meaning due.
        weight: w, what the word that is due pays.
        scale: α.
    """
    earned: Floats = scale * weight * np.maximum(cosine, 0.0)
    return earned


def fluency_penalty(surprisal: Floats, budget: float, scale: float) -> Floats:
    """λ max(0, s - τ), elementwise.

    Args:
        surprisal: s of a token after the one before, nats.
        budget: τ, nats.
        scale: λ.
    """
    excess = surprisal - budget
    np.maximum(excess, 0.0, out=excess)
    excess *= scale
    return excess
