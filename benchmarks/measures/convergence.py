"""Find the episode after which a training stops improving, by a statistical test."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

BLOCK = 100  # episodes per tested block
REFERENCE_SHARE = 0.2  # blocks are compared with this last share of the training
SIGNIFICANCE = 0.05  # of all tests together, shared equally among the blocks (Bonferroni)


def convergence_episode(returns: Sequence[float]) -> int | None:
    """Return the first episode after which no block of 100 episodes earns less than the last fifth of the training.

    Welch's one-sided t-test compares every whole block before the last fifth with that fifth; the training has
    converged after the last block that earns significantly less.

    Args:
        returns: Returns of the training episodes, in order, [episodes].

    Returns:
        The number of episodes before convergence. None if the first block earns no less (no learning is shown), if
        the last tested block earns less (still improving), or if there are fewer than two blocks to test.
    """
    values = np.asarray(returns, dtype=np.float64)
    end = round(len(values) * (1 - REFERENCE_SHARE))
    count = end // BLOCK
    if count < 2:
        return None
    blocks, reference = values[: count * BLOCK].reshape(count, BLOCK), values[end:]
    block_stats = blocks.mean(axis=1), blocks.std(axis=1, ddof=1), BLOCK
    reference_stats = reference.mean(), reference.std(ddof=1), len(reference)
    with np.errstate(divide="ignore", invalid="ignore"):  # blocks of equal returns have no variance
        pvalues = stats.ttest_ind_from_stats(*block_stats, *reference_stats, equal_var=False, alternative="less").pvalue
    lower = np.flatnonzero(pvalues < SIGNIFICANCE / count)
    if not len(lower) or lower[0] > 0 or lower[-1] == count - 1:
        return None
    return int(lower[-1] + 1) * BLOCK
