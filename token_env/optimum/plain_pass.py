"""Solve problems by dynamic programming over all pairs of tokens: V² operations per step, in float64.

V_t(a) = max_b [ h_t(b) - c(b|a) ], with h_t(b) = α w_t max(0, m_b·x_t) + V_{t+1}(b); see `solver.py`.
"""

import numpy as np
from numpy.typing import NDArray

from token_env.languages.language import row_chunks
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problems
from token_env.rules.terms import adequacy, fluency_penalty

Floats = NDArray[np.float64]


def best_tokens(dynamics: Dynamics, problems: Problems) -> NDArray[np.int64]:
    """Return a best answer to each problem, int64 [N, L]."""
    values, previous = state_values(dynamics, problems), problems.start
    tokens = np.empty_like(problems.message)
    for step in range(tokens.shape[1]):
        token_values = _token_values(dynamics, problems, values, step) - penalties(dynamics, previous)
        tokens[:, step] = previous = token_values.argmax(axis=1)
    return tokens


def first_token_values(dynamics: Dynamics, problems: Problems) -> Floats:
    """Return the highest possible return after each first token, [N, V]."""
    token_values = _token_values(dynamics, problems, state_values(dynamics, problems), 0)
    return token_values - penalties(dynamics, problems.start)


def state_values(dynamics: Dynamics, problems: Problems) -> Floats:
    """Return V_t(a), [L + 1, N, V]: the highest remaining return at each step after each token; 0 at the end."""
    size, length = problems.message.shape
    values = np.zeros((length + 1, size, dynamics.task.vocab_size))
    tokens = np.arange(dynamics.task.vocab_size)
    for step in range(length - 1, -1, -1):
        token_values = _token_values(dynamics, problems, values, step)
        for rows in row_chunks(len(tokens)):
            penalty = penalties(dynamics, tokens[rows])
            for problem in range(size):
                values[step, problem, rows] = (token_values[problem] - penalty).max(axis=1)
    return values


def penalties(dynamics: Dynamics, previous: NDArray[np.int64]) -> Floats:
    """Return the fluency penalty of each token after these previous tokens [n], [n, V]."""
    task = dynamics.task
    return fluency_penalty(dynamics.language.surprisals(previous), task.surprisal_budget, task.fluency_scale)


def _token_values(dynamics: Dynamics, problems: Problems, values: Floats, step: int) -> Floats:
    """Return h_t(b), [N, V]."""
    cosine = problems.meanings[:, step].astype(np.float64) @ dynamics.language.meaning.T
    return adequacy(cosine, problems.weights[:, step, None], dynamics.task.adequacy_scale) + values[step + 1]
