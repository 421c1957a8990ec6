"""Compute action masks: the tokens that may follow the previous one."""

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import Language


class ActionMasks:
    """The legal tokens of a language under a budget of surprisal.

    Args:
        language: Language with V tokens in d dimensions.
        budget: Surprisal in nats above which a token is masked out.
    """

    def __init__(self, language: Language, budget: float) -> None:
        ones = np.ones(language.vocab_size)
        left = np.column_stack([language.context, ones, -language.log_normalizer])
        right = np.column_stack([language.output, language.floored_log_unigram, ones])
        # the negative surprisal of the column token after the row token is one product, [V, d + 2] @ [d + 2, V]
        self._left = left.astype(np.float32)
        self._right = np.ascontiguousarray(right.T, dtype=np.float32)
        self._budget = budget

    def legal(self, previous: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return the tokens within the budget, bool [N, V]; always at least the least surprising one.

        Args:
            previous: Previous token of each row, int [N].
        """
        scores = self._left[previous] @ self._right  # negative surprisal, [N, V]
        allowed = scores >= np.float32(-self._budget)
        empty = np.flatnonzero(~allowed.any(axis=1))
        allowed[empty, scores[empty].argmax(axis=1)] = True
        return allowed
