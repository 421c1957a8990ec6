"""Play a policy over given problems, many at once, and tell what it earned on each."""

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from token_env.episodes.batch import Batch
from token_env.episodes.references import ReferencePolicy
from token_env.errors import SettingError
from token_env.optimum.cache import keep_optima, score
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problems
from token_env.rules.task import Task

ROWS = 256  # problems played side by side


@runtime_checkable
class EpisodePolicy(Protocol):
    """A policy that needs more than what is seen now: memory of its episodes, or which tokens may be said."""

    def act(
        self,
        observations: Observations,
        episode_starts: NDArray[np.bool_],
        action_masks: Callable[[], NDArray[np.bool_]],
    ) -> ArrayLike:
        """Tokens to say, [N].

        Args:
            observations: [N, D].
            episode_starts: [N], whether this is the first step of the row's episode; what was before is over.
            action_masks: tells, when it is called, which tokens are within the mask budget, [N, V].
        """


# From observations [N, D] to actions [N].
Policy = Callable[[Observations], ArrayLike] | EpisodePolicy


class Evaluation(NamedTuple):
    """What a policy earned on N problems of L steps."""

    problem_ids: NDArray[np.int64]  # [N]
    adequacy: NDArray[np.float64]  # [N] sum over the episode
    fluency_penalty: NDArray[np.float64]  # [N] sum over the episode
    actions: NDArray[np.int64]  # [N, L] the tokens said
    optimal_returns: NDArray[np.float64]  # [N] the most that could be earned; NaN unless the task has optimum=True

    @property
    def returns(self) -> NDArray[np.float64]:
        """[N] adequacy less fluency penalty, whatever the reward of the task."""
        return self.adequacy - self.fluency_penalty

    @property
    def mean_return(self) -> float:
        """Mean over the problems."""
        return float(self.returns.mean())

    @property
    def score(self) -> float:
        """The mean return as a share of the mean optimum on the same problems; NaN unless the task has optimum=True,
        and where that optimum is not above zero.
        """
        return float(score(self.returns.mean(), self.optimal_returns.mean()))

    @property
    def distinct_tokens(self) -> int:
        """How many different tokens were said in all episodes together."""
        return len(np.unique(self.actions))

    @property
    def token_perplexity(self) -> float:
        """Exp of the entropy of the tokens said: how many equally used tokens would be as varied."""
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
    """Play every problem once.

    Args:
        policy: from observations [N, D] to actions [N]; or an `EpisodePolicy`, which is told where episodes begin and
            which tokens are legal; or one of `token_env.REFERENCES`, which is given state and problem too.
        problem_ids: which problems of the task's split.
        task: the constants; the test split of the default task, with optimum=True, if None.
        seed: of the generator given to a reference policy.

    Raises:
        SettingError: no problem ids, or ids outside the split.
        gymnasium.error.InvalidAction: the policy gave something else than one token a row.
    """
    dynamics = Dynamics(task or Task(split="test", optimum=True))
    ids = dynamics.problems.checked_ids(list(problem_ids))
    if dynamics.task.optimum:
        keep_optima(dynamics, dynamics.problems.draw(ids))
    generator = np.random.default_rng(seed)
    parts = [_play(policy, dynamics, ids[first : first + ROWS], generator) for first in range(0, len(ids), ROWS)]
    return Evaluation(*(np.concatenate(field) for field in zip(*parts, strict=True)))


def _play(
    policy: Policy | ReferencePolicy, dynamics: Dynamics, ids: NDArray[np.int64], generator: np.random.Generator
) -> Evaluation:
    batch = Batch(dynamics, len(ids))
    rows = np.arange(len(ids))
    batch.set_next(rows, ids)
    batch.start(rows)
    for _ in range(dynamics.task.max_steps):
        batch.step(next_action(policy, batch, generator))
    return Evaluation(ids, batch.state.adequacy, batch.state.fluency_penalty, batch.said, batch.optimal_returns)


def next_action(policy: Policy | ReferencePolicy, batch: Batch, generator: np.random.Generator) -> NDArray[np.int64]:
    """What the policy says next in every row, [N].

    Raises:
        gymnasium.error.InvalidAction: the policy gave something else than one token a row.
    """
    if isinstance(policy, ReferencePolicy):
        return batch.checked_action(policy.act(batch.dynamics, batch.problems, batch.state, generator))
    if isinstance(policy, EpisodePolicy):
        return batch.checked_action(np.asarray(policy.act(batch.observe(), batch.state.step == 0, batch.action_masks)))
    return batch.checked_action(np.asarray(policy(batch.observe())))


def adequacy_by_rarity(evaluation: Evaluation, task: Task) -> NDArray[np.float64]:
    """The share of the adequacy on offer that was recovered, by how rare the words of the messages are, [4].

    The words of all messages are cut into quarters by their frequency rank, the commonest first; words of one rank
    stay together. On offer is what saying each word itself would have earned. NaN where a quarter has no words.

    Args:
        evaluation: what was said.
        task: the task that was played, its split included.
    """
    dynamics = Dynamics(task)
    problems = dynamics.problems.draw(evaluation.problem_ids)
    edges = np.quantile(problems.message, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(edges, problems.message).ravel()
    earned, offered = (
        np.bincount(quarter, weights=_step_adequacy(dynamics, problems, said).ravel(), minlength=4)
        for said in (evaluation.actions, problems.message)
    )
    return np.divide(earned, offered, out=np.full(4, np.nan), where=offered > 0)


def _step_adequacy(dynamics: Dynamics, problems: Problems, said: NDArray[np.int64]) -> NDArray[np.float64]:
    """What each step earned for its meaning, [N, L], where `said`, [N, L], was said."""
    state, adequacy = dynamics.initial(problems), np.empty(said.shape)
    for step in range(said.shape[1]):
        transition = dynamics.transition(problems, state, said[:, step])
        state, adequacy[:, step] = transition.next_state, transition.adequacy
    return adequacy


def checked_problems(count: int) -> range:
    """The ids of the first `count` problems.

    Raises:
        SettingError: fewer than one problem.
    """
    if count < 1:
        raise SettingError(f"{count} problems were asked for; evaluate at least 1.")
    return range(count)
