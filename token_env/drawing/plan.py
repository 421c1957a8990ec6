"""Describe how a policy that plans weighs the tokens of a step, and select the tokens to show."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BEST = 5  # tokens shown of a step
MAX_ROWS = BEST + 2  # with the word due and the token chosen, if they are not among the best


class StepLogits(NamedTuple):
    """Logits of a policy for one step; those of masked tokens are -inf."""

    now: NDArray[np.float32]  # [V] immediate logits, nats
    total: NDArray[np.float32]  # [V] logits by which the policy chooses, nats; without a plan the same array
    chosen: int  # id of the token that was chosen


class Candidate(NamedTuple):
    """A token of a step."""

    rank: int  # 1 for the token with the highest total
    token: int
    now: float  # nats
    total: float  # nats
    chosen: bool
    due: bool  # whether it is the word of the message

    @property
    def numbers(self) -> tuple[str, str, str]:
        """Immediate logit, what the plan adds, and their sum, in six letters each; for a masked token a word."""
        if not np.isfinite(self.total):
            return "", "", "masked"
        return _number(self.now), _number(self.total - self.now), _number(self.total)


HEADINGS = ("now", "next", "total")  # of `Candidate.numbers`


def candidates(logits: StepLogits, due: int) -> list[Candidate]:
    """Return the best tokens of a step, then the word due and the token chosen, if they are not among them.

    Args:
        logits: Logits of the step.
        due: Id of the word that is due.
    """
    order = np.argsort(-logits.total, kind="stable")
    best = [int(token) for token in order[:BEST] if np.isfinite(logits.total[token])]
    others = [int(token) for token in order if token in {due, logits.chosen} - {*best}]
    rank = {token: int(np.flatnonzero(order == token)[0]) + 1 for token in (*best, *others)}
    return [
        Candidate(
            rank[token],
            token,
            float(logits.now[token]),
            float(logits.total[token]),
            token == logits.chosen,
            token == due,
        )
        for token in (*best, *others)
    ]


def _number(nats: float) -> str:
    """Format nats in at most six letters."""
    nats = round(nats, 1) + 0.0  # -0.0 becomes 0.0
    return f"{nats:+.1f}" if abs(nats) < 999.95 else f"{max(nats, -99999.0):+.0f}"
