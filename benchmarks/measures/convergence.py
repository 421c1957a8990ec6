"""Say by a test, not by eye, from which episode on a training no longer got better."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

BLOCK = 100  # episodes that are tested together
REFERENCE_SHARE = 0.2  # of the training, its end: what the blocks are compared with
SIGNIFICANCE = 0.05  # of the whole procedure, shared equally among the blocks (Bonferroni)


def convergence_episode(returns: Sequence[float]) -> int | None:
    """The first episode from which on no block of 100 episodes earned less than the last fifth of the training.

    Every whole block before the last fifth is compared with it by Welch's one-sided t-test; the training had
    converged behind the last block that earned significantly less.

    Args:
        returns: of the training's episodes, in order.

    Returns:
        How many episodes that took. None if the first block earned no less (no learning is shown), if the last
        tested block earned less (it was still getting better), or if there are fewer than two blocks to test.
    """
    values = np.asarray(returns, dtype=np.float64)
    end = round(len(values) * (1 - REFERENCE_SHARE))
    count = end // BLOCK
    if count < 2:
        return None
    blocks, reference = values[: count * BLOCK].reshape(count, BLOCK), values[end:]
    tested = blocks.mean(axis=1), blocks.std(axis=1, ddof=1), BLOCK
    ending = reference.mean(), reference.std(ddof=1), len(reference)
    with np.errstate(divide="ignore", invalid="ignore"):  # blocks without any spread
        pvalues = stats.ttest_ind_from_stats(*tested, *ending, equal_var=False, alternative="less").pvalue
    less = np.flatnonzero(pvalues < SIGNIFICANCE / count)
    if not len(less) or less[0] > 0 or less[-1] == count - 1:
        return None
    return int(less[-1] + 1) * BLOCK
