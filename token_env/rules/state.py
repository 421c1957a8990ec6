"""Hold N episodes in progress, and one step of them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class State(NamedTuple):
    """N episodes in progress, apart from their problems."""

    previous: NDArray[np.int64]  # [N] the token said last; b_0 at the start
    step: NDArray[np.int64]  # [N] how many tokens have been said, 0 … L
    adequacy: NDArray[np.float64]  # [N] accrued since the start
    fluency_penalty: NDArray[np.float64]  # [N] accrued since the start


class Transition(NamedTuple):
    """One step of N episodes: what a reward function is given."""

    state: State  # before the step
    action: NDArray[np.int64]  # [N] a_t, the token said
    due: NDArray[np.int64]  # [N] b_t, the word of the message that was due
    adequacy: NDArray[np.float64]  # [N] α w_t max(0, m_a·x_t), of this step
    fluency_penalty: NDArray[np.float64]  # [N] λ max(0, s(a_t | a_{t-1}) - τ), of this step
    next_state: State  # after the step
    done: NDArray[np.bool_]  # [N] this was the last step
    discount: float  # γ
