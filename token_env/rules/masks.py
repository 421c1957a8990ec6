"""Compute action masks: the tokens that may follow the previous one."""

from typing import Any

import numpy as np

from token_env.languages.language import Language
from token_env.languages.surprisal import Array, rows_of


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
        self.left: Array = left.astype(np.float32)
        self.right: Array = np.ascontiguousarray(right.T, dtype=np.float32)
        self._budget = budget

    def legal(self, previous: Array, xp: Any = np) -> Array:
        """Return the tokens within the budget, bool [N, V]; always at least the least surprising one.

        Args:
            previous: Previous token of each row, int [N].
            xp: Namespace of the array library.
        """
        scores = rows_of(self.left, previous) @ self.right  # negative surprisal, [N, V]
        return scores >= xp.max(scores, axis=1, keepdims=True).clip(None, -self._budget)
