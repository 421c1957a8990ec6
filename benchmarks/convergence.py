"""Say by a test, not by eye, from which episode on a training no longer got better."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

BLOCK = 100  # episodes that are tested together
REFERENCE_SHARE = 0.2  # of the training, its end: what the blocks are compared with
SIGNIFICANCE = 0.05  # of the whole procedure, shared among the blocks


def convergence_episode(returns: Sequence[float]) -> float:
    """The first episode from which on no block of 100 episodes earned less than the last fifth of the training.

    Every whole block before the last fifth is tested against it: Welch's one-sided t-test, 5 % shared equally among
    the blocks (Bonferroni). The training had converged behind the last block that earned significantly less.

    Returns:
        The number of episodes before; NaN if the first block earned no less than the last fifth (no learning is
        shown), or the last tested block earned less (it was still getting better), or there are fewer than two blocks.
    """
    tested = int(len(returns) * (1 - REFERENCE_SHARE)) // BLOCK
    if tested < 2:
        return float("nan")
    values = np.asarray(returns, dtype=np.float64)
    reference = values[int(len(returns) * (1 - REFERENCE_SHARE)) :]
    blocks = values[: tested * BLOCK].reshape(tested, BLOCK)
    lower = stats.ttest_ind(blocks, reference[None, :], axis=1, equal_var=False, alternative="less").pvalue
    worse = np.flatnonzero(lower < SIGNIFICANCE / tested)
    if not len(worse) or worse[0] != 0 or worse[-1] == tested - 1:
        return float("nan")
    return float((worse[-1] + 1) * BLOCK)
