"""Compute the two terms of the reward: adequacy of the meaning and penalty for surprising tokens.

Operators and the method `clip` are all that is used, so arrays are those of any library.
"""

from token_env.languages.surprisal import Array


def adequacy(cosine: Array, weight: Array, scale: float) -> Array:
    """Return α w max(0, m·x), elementwise.

    Args:
        cosine: m·x, cosine of the token's meaning and the meaning due.
        weight: w, payment of the word that is due.
        scale: α.
    """
    return scale * weight * cosine.clip(0.0)


def fluency_penalty(surprisal: Array, budget: float, scale: float) -> Array:
    """Return λ max(0, s - τ), elementwise.

    Args:
        surprisal: s, surprisal of a token after the previous one, nats.
        budget: τ, nats.
        scale: λ, per nat.
    """
    excess = (surprisal - budget).clip(0.0)
    excess *= scale
    return excess
