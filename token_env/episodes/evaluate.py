"""Run a policy on given problems, many at once, and collect its returns."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from token_env.episodes.batch import Batch
from token_env.episodes.references import ReferencePolicy
from token_env.errors import SettingError
from token_env.optimum.cache import score, store_optima
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problems
from token_env.rules.state import Transition
from token_env.rules.task import Task

ROWS = 256  # number of problems played at once


@runtime_checkable
class EpisodePolicy(Protocol):
    """A policy that needs more than the current observation: episode starts (for a memory) or action masks."""

    def act(
        self,
        observations: Observations,
        episode_starts: NDArray[np.bool_],
        action_masks: Callable[[], NDArray[np.bool_]],
    ) -> ArrayLike:
        """Return the tokens to say, int [N].

        Args:
            observations: Observations, [N, D].
            episode_starts: Whether this is the first step of each row's episode, so that memory is reset, bool [N].
            action_masks: Function that returns the tokens within the mask budget, bool [N, V].
        """


# From observations [N, D] to actions [N].
Policy = Callable[[Observations], ArrayLike] | EpisodePolicy


class Evaluation(NamedTuple):
    """Results of a policy on N problems of L steps."""

    problem_ids: NDArray[np.int64]  # [N] ids of the problems
    adequacy: NDArray[np.float64]  # [N] sum over the episode
    fluency_penalty: NDArray[np.float64]  # [N] sum over the episode
    actions: NDArray[np.int64]  # [N, L] tokens of the policy
    optimal_returns: NDArray[np.float64]  # [N] highest possible returns; NaN unless the task has optimum=True

    @property
    def returns(self) -> NDArray[np.float64]:
        """Adequacy minus fluency penalty of each problem under every reward of the task, [N]."""
        return self.adequacy - self.fluency_penalty

    @property
    def mean_return(self) -> float:
        """Mean return over the problems."""
        return float(self.returns.mean())

    @property
    def score(self) -> float:
        """Mean return as a share of the mean optimum on the same problems.

        NaN unless the task has optimum=True, and if the mean optimum is not above zero.
        """
        return float(score(self.returns.mean(), self.optimal_returns.mean()))

    @property
    def distinct_tokens(self) -> int:
        """Number of different tokens in all episodes together."""
        return len(np.unique(self.actions))

    @property
    def token_perplexity(self) -> float:
        """Exponential of the entropy of the tokens: the number of equally frequent tokens with the same entropy."""
        _, counts = np.unique(self.actions, return_counts=True)
        share = counts / counts.sum()
        return float(np.exp(-(share * np.log(share)).sum()))


def evaluate(
    policy: Policy | ReferencePolicy,
    problem_ids: Iterable[int] = range(200),
    *,
    task: Task | None = None,
    seed: int = 0,
) -> Evaluation:
    """Run the policy once on every problem.

    Args:
        policy: Function from observations [N, D] to actions [N]; or an `EpisodePolicy`, which also gets episode starts
            and action masks; or one of `token_env.REFERENCES`, which also gets state and problems.
        problem_ids: Problem ids of the task's split.
        task: The constants; the test split of the default task with optimum=True if None.
        seed: Seed of the generator for reference policies.

    Raises:
        SettingError: No problem ids, or ids outside the split.
        gymnasium.error.InvalidAction: The policy did not return one token per row.
    """
    dynamics = Dynamics(task or Task(split="test", optimum=True))
    ids = dynamics.problems.validate_ids(list(problem_ids))
    if dynamics.task.optimum:
        store_optima(dynamics, dynamics.problems.draw(ids))
    generator = np.random.default_rng(seed)
    return joined([_play(policy, batch, generator) for batch in started_batches(dynamics, ids)])


def _play(policy: Policy | ReferencePolicy, batch: Batch, generator: np.random.Generator) -> Evaluation:
    for _ in steps(policy, batch, generator):
        pass
    return evaluation_of(batch)


def started_batches(dynamics: Dynamics, ids: NDArray[np.int64]) -> Iterator[Batch]:
    """Yield batches of at most `ROWS` rows that start these problems, [N], in their order."""
    for first in range(0, len(ids), ROWS):
        batch = Batch(dynamics, len(ids[first : first + ROWS]))
        rows = np.arange(batch.num_rows)
        batch.set_next(rows, ids[first : first + ROWS])
        batch.start(rows)
        yield batch


def steps(policy: Policy | ReferencePolicy, batch: Batch, generator: np.random.Generator) -> Iterator[Transition]:
    """Play a batch from its start to the end of the episodes; yield each step."""
    for _ in range(batch.dynamics.task.max_steps):
        yield batch.step(next_action(policy, batch, generator))


def evaluation_of(batch: Batch) -> Evaluation:
    """Return the results of a batch whose episodes are over."""
    state = batch.state
    return Evaluation(batch.problems.ids, state.adequacy, state.fluency_penalty, batch.tokens, batch.optimal_returns)


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """Return the results of several batches as one."""
    return Evaluation(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def next_action(policy: Policy | ReferencePolicy, batch: Batch, generator: np.random.Generator) -> NDArray[np.int64]:
    """Return the policy's next token in every row, int64 [N].

    Raises:
        gymnasium.error.InvalidAction: The policy did not return one token per row.
    """
    if isinstance(policy, ReferencePolicy):
        return batch.validate_actions(policy.act(batch.dynamics, batch.problems, batch.state, generator))
    if isinstance(policy, EpisodePolicy):
        return batch.validate_actions(
            np.asarray(policy.act(batch.observe(), batch.state.step == 0, batch.action_masks))
        )
    return batch.validate_actions(np.asarray(policy(batch.observe())))


def adequacy_by_rarity(evaluation: Evaluation, task: Task) -> NDArray[np.float64]:
    """Return the share of the available adequacy that was earned, by rarity of the messages' words, [4].

    The words of all messages are divided into quarters by frequency rank, the most frequent first; words of the same
    rank stay together. The available adequacy is that of the verbatim message. NaN for a quarter without words.

    Args:
        evaluation: The episodes.
        task: Task of these episodes, including its split.
    """
    dynamics = Dynamics(task)
    problems = dynamics.problems.draw(evaluation.problem_ids)
    edges = np.quantile(problems.message, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, problems.message).ravel()
    recovered, available = (
        np.bincount(quarter, weights=_step_adequacy(dynamics, problems, tokens).ravel(), minlength=4)
        for tokens in (evaluation.actions, problems.message)
    )
    return np.divide(recovered, available, out=np.full(4, np.nan), where=available > 0)


def _step_adequacy(dynamics: Dynamics, problems: Problems, tokens: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the adequacy of each step, [N, L], for these tokens, [N, L]."""
    state, adequacy = dynamics.initial(problems), np.empty(tokens.shape)
    for step in range(tokens.shape[1]):
        transition = dynamics.transition(problems, state, tokens[:, step])
        state, adequacy[:, step] = transition.next_state, transition.adequacy
    return adequacy


def first_problem_ids(count: int) -> range:
    """Return the ids of the first `count` problems.

    Raises:
        SettingError: Fewer than one problem.
    """
    if count < 1:
        raise SettingError(f"{count} problems were asked for; evaluate at least 1.")
    return range(count)
