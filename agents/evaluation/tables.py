"""Lay out scores, comparisons and verdicts as tables for the terminal."""

from collections.abc import Container, Mapping
from typing import Any

import numpy as np
from rich.table import Table

from agents.evaluation.ab_verdict import QUANTILES, ABVerdict
from agents.evaluation.comparison import Comparison, verdict
from agents.evaluation.ensemble_scores import EnsembleScores
from agents.evaluation.formats import NO_VALUE, interval_text, plus_minus_text
from agents.evaluation.scores import GREEDY, SAMPLED, Scores, TimedEvaluation
from agents.evaluation.statistics import (
    mean_interval,
    problem_interval,
)
from token_env.episodes.evaluate import ROWS


def ab_test_table(verdict: ABVerdict, title: str) -> Table:
    """Build a table of requests, mean return and latency in milliseconds of both variants."""
    table = Table(title=title, title_justify="left")
    table.add_column("variant")
    percentiles = [f"{quantile:.0%}".replace("%", "") for quantile in QUANTILES]
    for heading in (
        "model",
        "requests",
        "share",
        "promised",
        "mean return",
        *(f"ms, p{percentile}" for percentile in percentiles),
    ):
        table.add_column(heading, justify="right")
    log = verdict.log
    total = len(log.a.returns) + len(log.b.returns)
    for name, variant, promised in (("A", log.a, 1 - log.share_b), ("B", log.b, log.share_b)):
        count = len(variant.returns)
        mean_return, latencies = NO_VALUE, [NO_VALUE] * len(QUANTILES)
        if count:
            mean_return = interval_text(mean_interval(variant.returns))
            latencies = [f"{latency:.2f}" for latency in np.quantile(variant.latencies, QUANTILES)]
        share = f"{count / total:.1%}"
        table.add_row(
            name, variant.model[:12] or NO_VALUE, f"{count:,}", share, f"{promised:.1%}", mean_return, *latencies
        )
    return table


def comparison_table(comparison: Comparison, names: tuple[str, str], title: str) -> Table:
    """Build a table of two agents: mean return of each, then their difference and the verdict."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for letter, name, evaluation in zip("AB", names, (comparison.a, comparison.b), strict=True):
        table.add_row(f"{letter}  {name}", interval_text(problem_interval(evaluation.returns)))
    table.add_section()
    rows: dict[str, Any] = {
        "mean difference A - B": interval_text(comparison.difference),
        "problems that A wins": f"{100 * comparison.win_rate:.1f} %",
        "probability of improvement": f"{comparison.probability_of_improvement:.3f}",
        "verdict": verdict(comparison.difference),
    }
    for figure, value in rows.items():
        table.add_row(figure, value)
    return table


def ensemble_table(scores: EnsembleScores, rule: str, title: str) -> Table:
    """Build a table of an ensemble and its members, with the ensemble's gains; intervals are over problems."""
    ensemble = f"ensemble ({rule})"
    gains = {name: interval_text(scores.gain(name)) for name in scores.members}
    return timed_table({ensemble: scores.ensemble, **scores.members}, title, "ensemble - it", gains, {ensemble})


def plan_table(by_policy: Mapping[str, TimedEvaluation], without: Mapping[str, str], title: str) -> Table:
    """Build a table of policies with and without a plan; intervals are over problems.

    Args:
        by_policy: Evaluations by name of the policy.
        without: Name of the same policy without a plan, by name of a policy with one.
        title: Title of the table.
    """
    gains = {
        name: interval_text(problem_interval(by_policy[name].evaluation.returns - by_policy[other].evaluation.returns))
        for name, other in without.items()
    }
    return timed_table(by_policy, title, "gain by the plan", gains, without)


def timed_table(
    by_policy: Mapping[str, TimedEvaluation], title: str, gain: str, gains: Mapping[str, str], bold: Container[str]
) -> Table:
    """Build a table of scores and of processor time per token, best mean return first.

    Args:
        by_policy: Evaluations by name of the policy.
        title: Title of the table.
        gain: Heading of the gains.
        gains: Difference in return to another policy, by name of the policy.
        bold: Names of the policies whose rows are bold.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    batch_rows = min(ROWS, min(len(timed.evaluation.returns) for timed in by_policy.values()))
    for heading in ("score", "return", gain, "tokens", "CPU ms/token", f"of {batch_rows} at once"):
        table.add_column(heading, justify="right")
    for name, timed in sorted(by_policy.items(), key=lambda item: -item[1].evaluation.mean_return):
        mean_return = problem_interval(timed.evaluation.returns)
        table.add_row(
            name,
            f"{timed.evaluation.score:.3f}",
            plus_minus_text(mean_return.estimate, mean_return.half_width),
            gains.get(name, ""),
            str(timed.evaluation.distinct_tokens),
            f"{timed.ms_per_token_alone:.3f}",
            f"{timed.ms_per_token_batched:.4f}",
            style="bold" if name in bold else None,
        )
    return table


HEADINGS = (
    "score",  # mean return / mean optimum of the same problems
    "return",
    "adequacy",
    "penalty",
    "adequacy by rarity",  # share of the possible adequacy in each quarter of the words, the commonest first
    "tokens",  # number of distinct tokens
    "perplexity",  # exp of the entropy of the chosen tokens
)


def score_table(by_policy: Mapping[str, Scores], title: str, masked: bool = False) -> Table:
    """Build a table of the scores of policies, best mean return first; intervals are over problems.

    Args:
        by_policy: Scores by name of the policy, from `evaluate_agent` and `evaluate_references`.
        title: Title of the table.
        masked: Whether the agent used action masks; its rows are then labelled "masked".
    """
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for name, row in sorted(by_policy.items(), key=lambda item: -item[1].mean_return):
        is_agent = name in (GREEDY, SAMPLED)
        table.add_row(
            name.replace("agent", "masked") if is_agent and masked else name,
            plus_minus_text(row.score, row.score_half_width, ".3f"),
            plus_minus_text(row.mean_return, row.half_width),
            f"{row.mean_adequacy:.3f}",
            f"{row.mean_fluency_penalty:.3f}",
            " ".join(
                NO_VALUE if share is None else f"{share:.2f}".removeprefix("0") for share in row.adequacy_by_rarity
            ),
            str(row.distinct_tokens),
            f"{row.token_perplexity:.1f}",
            style="bold" if is_agent else None,
        )
    return table
