"""Compute the metrics in per cent, most of them of the optimum, which can be compared between sizes."""

import numpy as np

from agents.evaluation.scores import GREEDY, SAMPLED
from benchmarks.measures.figures import (
    QUARTERS,
    Figure,
    MetricFunction,
    drawdown,
    max_return,
    mean_last_20,
    mean_optimum,
    of_whole_run,
    optimum,
    spread,
)
from benchmarks.measures.row import Row
from token_env import SIZES
from token_env.optimum import cache


@of_whole_run
def score(row: Row) -> Figure:
    """The return in per cent of the optimum on the same problems: 100 is perfect with hindsight of the whole message.
    This figure can be compared between sizes.
    """
    return share_of_optimum(row.held_out[GREEDY].mean_return, row)


@of_whole_run
def score_sampled(row: Row) -> Figure:
    """The same with tokens drawn by their probability."""
    return share_of_optimum(row.held_out[SAMPLED].mean_return, row)


@of_whole_run
def share_of_greedy(row: Row) -> Figure:
    """The return divided by that of the reference policy `greedy` on the same problems, in per cent."""
    return 100 * row.held_out[GREEDY].mean_return / row.held_out["greedy"].mean_return


def drawdown_share(row: Row) -> Figure:
    """Stability: the drawdown in per cent of the mean optimum of the held-out problems."""
    return share_of_optimum(drawdown(row), row)


def spread_share(row: Row) -> Figure:
    """Stability: the spread of the last 100 in per cent of the mean optimum of the held-out problems."""
    return share_of_optimum(spread(row), row)


def mean_last_20_share(row: Row) -> Figure:
    """The mean of the last 20 in per cent of the mean optimum of the held-out problems."""
    return share_of_optimum(mean_last_20(row), row)


def max_return_share(row: Row) -> Figure:
    """The best episode in per cent of the mean optimum of the held-out problems."""
    return share_of_optimum(max_return(row), row)


@of_whole_run
def validation_score(row: Row) -> Figure:
    """The score on the first 200 validation problems, which variants of the settings are chosen by; rows of older
    versions have none.
    """
    if row.settings.evaluation.split == "validation":
        return score(row)
    if row.on_validation is None:
        return None
    figures = row.on_validation[GREEDY]
    return percent_of(mean_optimum(row.settings.env, "validation", figures.problems), figures.mean_return)


@of_whole_run
def rarest_on_fast_messages(row: Row) -> Figure:
    """Adequacy recovered on the rarest quarter of the words of fast's test messages, in per cent of what saying each
    word itself would have earned; of larger vocabularies only fast's words can be said.
    """
    env = row.settings.env
    is_fast = {"vocab_size": env.vocab_size, "max_steps": env.max_steps} == SIZES["fast"]
    figures = row.held_out[GREEDY] if is_fast else row.on_fast_messages
    share = figures.adequacy_by_rarity[QUARTERS.index("rarest")] if figures else None
    return None if share is None else 100 * share


@of_whole_run
def lead_over_greedy(row: Row) -> Figure:
    """The score less that of the reference policy `greedy` on the same problems, in points: what learning adds to the
    best immediate reward.
    """
    return share_of_optimum(row.held_out[GREEDY].mean_return - row.held_out["greedy"].mean_return, row)


def untrained_score(row: Row) -> Figure:
    """Score of the same policy with random weights, with the most probable tokens; rows of older versions have none."""
    return share_of_optimum(row.untrained[GREEDY].mean_return, row) if row.untrained else None


def untrained_score_sampled(row: Row) -> Figure:
    """The same with tokens drawn by their probability."""
    return share_of_optimum(row.untrained[SAMPLED].mean_return, row) if row.untrained else None


def reference_score(policy: str) -> MetricFunction:
    """Build the metric function for the score of a reference policy; None in rows that were made without it."""

    def compute(row: Row) -> Figure:
        return share_of_optimum(row.held_out[policy].mean_return, row) if policy in row.held_out else None

    compute.__name__ = f"score_of_{policy}"
    compute.__doc__ = f"Score of the reference policy `{policy}` on the same problems; every run has the same."
    return compute


def share_of_optimum(value: Figure, row: Row) -> Figure:
    """Return a figure in the unit of returns in per cent of the mean optimum of the run's held-out problems.

    None if there is no figure, or the optimum is not above zero.
    """
    return percent_of(optimum(row), value) if isinstance(value, float) else None


def percent_of(best: float, mean_return: float) -> Figure:
    """Return a mean return in per cent of a mean optimum; None if that is not above zero."""
    share = float(cache.score(mean_return, best))
    return None if np.isnan(share) else 100 * share
