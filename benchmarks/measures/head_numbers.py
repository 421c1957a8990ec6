"""Record what a tied head learned, and compare it with the rewards of the task, in the task's own units."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from stable_baselines3.common.policies import BasePolicy

from agents.policies import tied_head
from agents.policies.tied_head import TiedHead
from agents.settings.schema import Frozen
from token_env.languages.language import Language

Array = NDArray[np.float64]


class Constants(Frozen):
    """The constants of `agents.policies.tied_head` that affect learning."""

    bends: tuple[float, ...]  # nats, at first
    knots: tuple[float, ...]  # rarities
    lr_multipliers: dict[str, float]
    matrix_growth: float
    slope_brake: float
    value_scale: float

    @classmethod
    def in_use(cls) -> "Constants":
        """Return the current values, which a case of a benchmark may have replaced."""
        return cls(
            bends=tied_head.BENDS,
            knots=tied_head.KNOTS,
            lr_multipliers=tied_head.LR_MULTIPLIERS,
            matrix_growth=tied_head.MATRIX_GROWTH,
            slope_brake=tied_head.SLOPE_BRAKE,
            value_scale=tied_head.VALUE_SCALE,
        )


class HeadNumbers(Frozen):
    """The numbers of a trained head, as used in its formula, with the constants it was trained with."""

    constants: Constants
    scalar: float  # w
    matrix_diagonal: float  # mean of the diagonal of W
    matrix_rest: float  # Frobenius norm of the rest of W
    slopes: tuple[float, ...]  # c
    places: tuple[float, ...]  # k, nats
    emphasis: tuple[float, ...]  # g at the knots

    @property
    def map(self) -> float:
        """The multiple of the identity in w + W."""
        return self.scalar + self.matrix_diagonal

    def emphasis_at(self, rarity: ArrayLike) -> Array:
        """Return g(ρ) of rarities, in their shape."""
        return np.interp(np.asarray(rarity), self.constants.knots, self.emphasis)

    def temperature(self, language: Language) -> float:
        """Return T, the scale of rewards divided by that of logits, for which an average word is paid 1 as in the task.

        The scale of logits is free: it says how deterministic a policy is, not what it prefers.
        """
        frequency = np.exp(language.log_unigram)
        return float(frequency.sum() / (self.map * (frequency @ self.emphasis_at(language.rarity))))

    def payment(self, rarity: ArrayLike, language: Language) -> Array:
        """Return the learned payments of words of these rarities, T (w + W) g(ρ), W by its diagonal; the task's: w."""
        return self.temperature(language) * self.map * self.emphasis_at(rarity)

    def penalty(self, surprisal: ArrayLike, language: Language) -> Array:
        """Return the learned penalties of these surprisals, T Σ c max(0, s - k); the task's: λ/α max(0, s - τ)."""
        beyond = np.maximum(0.0, np.asarray(surprisal, dtype=np.float64)[..., None] - np.array(self.places))
        return np.asarray(self.temperature(language) * (beyond @ np.array(self.slopes)))


def tied_head_of(policy: BasePolicy) -> TiedHead | None:
    """Return the tied head of a policy; None if it has another head."""
    head = getattr(getattr(policy, "mlp_extractor", None), "head", None)
    return head if isinstance(head, TiedHead) else None


def head_numbers(head: TiedHead) -> HeadNumbers:
    """Read the numbers of a trained head, rounded to 5 decimals."""
    matrix = head.learned("matrix").detach().double().cpu().numpy()
    diagonal = float(np.diag(matrix).mean())
    return HeadNumbers(
        constants=Constants.in_use(),
        scalar=round(float(head.learned("scalar").item()), 5),
        matrix_diagonal=round(diagonal, 5),
        matrix_rest=round(float(np.linalg.norm(matrix - diagonal * np.eye(len(matrix)))), 5),
        slopes=_rounded(head.learned("slopes").tolist()),
        places=_rounded(head.learned("places").tolist()),
        emphasis=_rounded((1 + head.learned("knots")).tolist()),
    )


def _rounded(values: list[float]) -> tuple[float, ...]:
    return tuple(round(value, 5) for value in values)
