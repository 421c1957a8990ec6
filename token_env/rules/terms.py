"""Compute the two terms of the reward: adequacy of the meaning and penalty for surprising tokens."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def adequacy(cosine: NDArray[np.floating], weight: Floats, scale: float) -> Floats:
    """Return α w max(0, m·x), elementwise.

    Args:
        cosine: m·x, cosine of the token's meaning and the meaning due.
        weight: w, payment of the word that is due.
        scale: α.
    """
    result: Floats = scale * weight * np.maximum(cosine, 0.0)
    return result


def fluency_penalty(surprisal: Floats, budget: float, scale: float) -> Floats:
    """Return λ max(0, s - τ), elementwise.

    Args:
        surprisal: s, surprisal of a token after the previous one, nats.
        budget: τ, nats.
        scale: λ, per nat.
    """
    excess = surprisal - budget
    np.maximum(excess, 0.0, out=excess)
    excess *= scale
    return excess
