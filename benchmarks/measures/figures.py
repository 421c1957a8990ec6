"""Compute all metrics from a row. The docstring of a metric function is its published definition.

A run that diverged has no value of the metrics that need a whole training or its agent (`of_whole_run`).
"""

from collections.abc import Callable
from functools import lru_cache, wraps

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.scores import GREEDY, SAMPLED
from agents.evaluation.statistics import running_mean
from benchmarks.measures.convergence import convergence_episode
from benchmarks.measures.row import Row
from benchmarks.suite.reported import reported
from token_env.optimum.cache import optimal_returns, store_optima
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task, with_split

LONG_WINDOW, SHORT_WINDOW = 100, 20  # episodes or updates at the end of a training
QUARTERS = ("commonest", "second", "third", "rarest")  # quarters of the vocabulary by frequency

Figure = float | int | str | None  # None: the metric is not defined for the run
MetricFunction = Callable[[Row], Figure]


def of_whole_run(compute: MetricFunction) -> MetricFunction:
    """Make a metric function return None for a run that diverged."""

    @wraps(compute)
    def compute_if_whole(row: Row) -> Figure:
        return compute(row) if row.diverged is None else None

    return compute_if_whole


@of_whole_run
def episodes(row: Row) -> Figure:
    """Episodes played in training."""
    return len(row.returns)


def vocab_size(row: Row) -> Figure:
    """Tokens the agent can say: the actions."""
    return row.settings.env.vocab_size


def hidden(row: Row) -> Figure:
    """Units of each hidden layer, of the policy's network and of the value's alike."""
    return " + ".join(map(str, row.settings.policy.hidden))


def head(row: Row) -> Figure:
    """Part of the policy that computes the logits of tokens, as in `policy.head`."""
    return row.settings.policy.head


def max_steps(row: Row) -> Figure:
    """Steps of an episode, which are the tokens of a message."""
    return row.settings.env.max_steps


def learning_rate(row: Row) -> Figure:
    """Of the optimizer; "falling" where it goes to 0 in the course of the training."""
    section = row.settings.hyperparameters
    digits, exponent = f"{section.learning_rate:.0e}".split("e")
    return f"{digits}e{int(exponent)}" + (", falling" if section.learning_rate_schedule == "linear" else "")


def device(row: Row) -> Figure:
    """Where the networks were trained."""
    return row.machine.device


def policy_mb(row: Row) -> Figure:
    """Parameters of the policy's and the value's network in memory, 10⁶ bytes."""
    return row.policy_bytes / 1e6


def file_mb(row: Row) -> Figure:
    """The saved weights on disk, 10⁶ bytes; neither optimizer state nor code is in the file."""
    return None if row.file_bytes is None else row.file_bytes / 1e6


@of_whole_run
def training_minutes(row: Row) -> Figure:
    """Wall-clock time from the first episode to the last update, on one thread, without the evaluation."""
    return row.training.seconds / 60


@of_whole_run
def cpu_minutes(row: Row) -> Figure:
    """Processor time of the same training, which other work on the machine prolongs less than the clock."""
    return row.training.cpu_seconds / 60


def episodes_per_minute(row: Row) -> Figure:
    """Episodes divided by training time."""
    return 60 * len(row.returns) / row.training.seconds


def steps_per_second(row: Row) -> Figure:
    """Environment steps divided by training time, updates included."""
    return len(row.returns) * row.settings.env.max_steps / row.training.seconds


@of_whole_run
def peak_memory_mb(row: Row) -> Figure:
    """The most resident memory of the process, Python, PyTorch and the evaluation included, 10⁶ bytes."""
    return row.training.peak_memory_mb


def cpu_percent(row: Row) -> Figure:
    """Processor time divided by training time; 100 is one core busy all the time."""
    return 100 * row.training.cpu_seconds / row.training.seconds


@of_whole_run
def device_memory_mb(row: Row) -> Figure:
    """On cuda the most memory that tensors held, on mps what the driver holds at the end, 10⁶ bytes."""
    return row.training.device_memory_mb


def device_use_percent(row: Row) -> Figure:
    """On cuda, where nvidia-ml-py is installed: how busy the GPU was, the mean of one reading an update."""
    return row.training.device_use_percent


def max_return(row: Row) -> Figure:
    """The highest return of a training episode."""
    return max(row.returns, default=None)


@of_whole_run
def final_return(row: Row) -> Figure:
    """The return of the last training episode: one episode, hence mostly chance."""
    return row.returns[-1]


@of_whole_run
def mean_last_100(row: Row) -> Figure:
    """Mean return of the last 100 training episodes."""
    return float(_last(row, LONG_WINDOW).mean())


@of_whole_run
def mean_last_20(row: Row) -> Figure:
    """Mean return of the last 20 training episodes."""
    return float(_last(row, SHORT_WINDOW).mean())


@of_whole_run
def lowest_last_20(row: Row) -> Figure:
    """The lowest return of the last 20 training episodes."""
    return float(_last(row, SHORT_WINDOW).min())


@of_whole_run
def highest_last_20(row: Row) -> Figure:
    """The highest return of the last 20 training episodes."""
    return float(_last(row, SHORT_WINDOW).max())


def min_loss(row: Row) -> Figure:
    """The lowest loss of an update, of whichever algorithm: policy loss, entropy loss and value loss, each averaged
    over the update's minibatches, added up with the run's coefficients. It can be negative, and it compares runs of
    one algorithm with the same coefficients only: a low loss is no good policy.
    """
    return _lowest(_losses(row))


@of_whole_run
def lowest_loss_last_20(row: Row) -> Figure:
    """The lowest loss of the last 20 updates, or of all where there were fewer."""
    return _lowest(_losses(row)[-SHORT_WINDOW:])


@of_whole_run
def highest_loss_last_20(row: Row) -> Figure:
    """The highest loss of the last 20 updates, or of all where there were fewer."""
    return max(_losses(row)[-SHORT_WINDOW:], default=None)


def drawdown(row: Row) -> Figure:
    """Stability: the largest fall of the mean of 100 episodes in a row below what that mean had reached before."""
    means = running_mean(row.returns, LONG_WINDOW)[LONG_WINDOW - 1 :]
    return float((np.maximum.accumulate(means) - means).max()) if len(means) else None


@of_whole_run
def spread(row: Row) -> Figure:
    """Stability: the sample standard deviation of the returns of the last 100 training episodes."""
    return float(_last(row, LONG_WINDOW).std(ddof=1)) if len(row.returns) > 1 else None


@of_whole_run
def convergence(row: Row) -> Figure:
    """The first episode from which on the mean return of the last 100 stays within 5 % of its final value. A run has
    none if that mean was always as near (no learning is shown), or if it came near only in the last 100 episodes (the
    run was still getting better).
    """
    return convergence_episode(row.returns)


def episodes_to_reported(row: Row) -> Figure:
    """The first episode whose mean with the 99 before it is the average that the report gave for the last 100 of this
    size; a run that does not get there has none.
    """
    average = reported().figures.get(row.case.partition("/")[0], {}).get("mean_last_100")
    if not isinstance(average, float):
        return None
    reached = np.flatnonzero(running_mean(row.returns, LONG_WINDOW)[LONG_WINDOW - 1 :] >= average)
    return LONG_WINDOW + int(reached[0]) if len(reached) else None


def seconds_to_reported(row: Row) -> Figure:
    """The training time that these episodes took, counted as their share of all."""
    reached = episodes_to_reported(row)
    return None if reached is None else row.training.seconds * float(reached) / len(row.returns)


@of_whole_run
def training_tokens(row: Row) -> Figure:
    """Different tokens said in the last 100 training episodes."""
    return row.distinct_tokens_last_100


@of_whole_run
def test_return(row: Row) -> Figure:
    """Mean return on the first 200 test problems, with the most probable tokens."""
    return row.held_out[GREEDY].mean_return


@of_whole_run
def test_return_sampled(row: Row) -> Figure:
    """The same with tokens drawn by their probability."""
    return row.held_out[SAMPLED].mean_return


def optimum(row: Row) -> float:
    """The most that can be earned on these problems, exactly, the mean over them; every run has the same."""
    return mean_optimum(row.settings.env, row.settings.evaluation.split, row.held_out["greedy"].problems)


def training_return(row: Row) -> Figure:
    """Mean return, with the most probable tokens, on the 200 problems played last in training."""
    return row.training_problems.mean_return if row.training_problems else None


def generalisation_gap(row: Row) -> Figure:
    """Mean return, with the most probable tokens, on the 200 problems played last in training less that on the test
    problems. Positive: better on what it was trained on. Problems differ, so one run's gap has a standard error of
    about 0.05.
    """
    return row.training_problems.mean_return - row.held_out[GREEDY].mean_return if row.training_problems else None


@of_whole_run
def test_tokens(row: Row) -> Figure:
    """Different tokens said on the test problems, with the most probable tokens."""
    return row.held_out[GREEDY].distinct_tokens


@of_whole_run
def token_perplexity(row: Row) -> Figure:
    """Exp of the entropy of these tokens: how many equally used ones would be as varied."""
    return row.held_out[GREEDY].token_perplexity


def reference_return(policy: str) -> MetricFunction:
    """Build the metric function for the mean return of a reference policy."""

    def compute(row: Row) -> Figure:
        return row.held_out[policy].mean_return

    compute.__name__ = f"reference_{policy}"
    compute.__doc__ = f"Mean return of the reference policy `{policy}` on the same problems; every run has the same."
    return compute


def adequacy_of_quarter(place: int) -> MetricFunction:
    """Build the metric function for the adequacy recovered on one quarter of the words; 0 is the commonest."""

    @of_whole_run
    def compute(row: Row) -> Figure:
        share = row.held_out[GREEDY].adequacy_by_rarity[place]
        return None if share is None else 100 * share

    compute.__name__ = f"adequacy_{QUARTERS[place]}"
    compute.__doc__ = (
        f"Adequacy recovered on the {QUARTERS[place]} quarter of the words of the test messages, in per cent of what "
        "saying each word itself would have earned."
    )
    return compute


@lru_cache
def mean_optimum(task: Task, split: str, problems: int) -> float:
    """Return the mean optimal return of a task on the first `problems` problems of a split."""
    dynamics = Dynamics(with_split(task, split))
    batch = dynamics.problems.draw(np.arange(problems))
    store_optima(dynamics, batch)
    return float(optimal_returns(dynamics, batch).mean())


def _last(row: Row, count: int) -> NDArray[np.float64]:
    return np.asarray(row.returns[-count:])


def _losses(row: Row) -> list[float]:
    return [loss for loss in row.losses if loss is not None]


def _lowest(losses: list[float]) -> float | None:
    return min(losses, default=None)
