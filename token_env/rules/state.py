"""Define the state of N episodes in progress, and one step of them."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """The state of N episodes in progress, without their problems."""

    previous: NDArray[np.int64]  # [N] previous token; b_0 at the start
    step: NDArray[np.int64]  # [N] number of steps so far, 0 … L
    adequacy: NDArray[np.float64]  # [N] sum since the start
    fluency_penalty: NDArray[np.float64]  # [N] sum since the start


class Transition(NamedTuple):
    """One step of N episodes; the argument of reward functions."""

    state: State  # state before the step
    action: NDArray[np.int64]  # [N] a_t, token of the agent
    due: NDArray[np.int64]  # [N] b_t, word of the message that was due
    adequacy: NDArray[np.float64]  # [N] α w_t max(0, m_a·x_t) of this step
    fluency_penalty: NDArray[np.float64]  # [N] λ max(0, s(a_t | a_{t-1}) - τ) of this step
    next_state: State  # state after the step
    done: NDArray[np.bool_]  # [N] whether this was the last step
    discount: float  # γ of the potential reward

    def read_only(self) -> "Transition":
        """Return the same step as views that cannot be written to."""
        return Transition(*map(_read_only, self))


def _read_only(field: Any) -> Any:
    if isinstance(field, State):
        return State(*map(_read_only, field))
    if isinstance(field, np.ndarray):
        field = field.view()
        field.flags.writeable = False
    return field
