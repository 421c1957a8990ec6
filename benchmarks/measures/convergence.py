"""Find the episode from which on a training stays near its end."""

from collections.abc import Sequence

import numpy as np

from agents.evaluation.statistics import WINDOW, running_mean

NEAR = 0.05  # share of the last mean by which a mean may differ from it


def convergence_episode(returns: Sequence[float], near: float = NEAR) -> int | None:
    """Return the first episode from which on the mean of the last 100 stays within a share of its last value.

    No test decides. Means of 100 episodes vary by chance, too: if they vary by about the allowed distance, the answer
    is late, or None.

    Args:
        returns: Returns of the training episodes, in order, [episodes].
        near: Allowed distance from the last mean, as a share of its absolute value.

    Returns:
        The number of episodes. None if all means are near the last one (no learning is shown), or if they come near
        only in the last 100 episodes (the training was still improving).
    """
    means = running_mean(returns, WINDOW)[WINDOW - 1 :]
    if not len(means):
        return None
    far = np.flatnonzero(np.abs(means - means[-1]) > near * abs(means[-1]))
    episode = WINDOW + int(far[-1]) + 1 if len(far) else None
    return None if episode is None or episode > len(returns) - WINDOW else episode
