"""Lay out scores, comparisons and verdicts as tables for the terminal."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.table import Table

from agents.evaluation.ab_test import QUANTILES, ABVerdict
from agents.evaluation.comparison import Comparison, verdict
from agents.evaluation.ensemble_scores import EnsembleScores
from agents.evaluation.scores import GREEDY, SAMPLED, Scores
from agents.evaluation.statistics import (
    interval_text,
    mean_interval,
    problem_interval,
)
from token_env.episodes.evaluate import ROWS


def verdict_table(verdict: ABVerdict, title: str) -> Table:
    """What each variant answered, earned and took."""
    table = Table(title=title, title_justify="left")
    table.add_column("variant")
    names = [f"{quantile:.0%}".replace("%", "") for quantile in QUANTILES]
    for heading in ("model", "requests", "share", "promised", "mean return", *(f"ms, p{name}" for name in names)):
        table.add_column(heading, justify="right")
    log = verdict.log
    total = len(log.a.returns) + len(log.b.returns)
    for name, variant, promised in (("A", log.a, 1 - log.share_b), ("B", log.b, log.share_b)):
        count = len(variant.returns)
        earned, latencies = "—", ["—"] * len(QUANTILES)
        if count:
            earned = interval_text(mean_interval(variant.returns))
            latencies = [f"{latency:.2f}" for latency in np.quantile(variant.latencies, QUANTILES)]
        share = f"{count / total:.1%}"
        table.add_row(name, variant.model[:12] or "—", f"{count:,}", share, f"{promised:.1%}", earned, *latencies)
    return table


def comparison_table(comparison: Comparison, names: tuple[str, str], title: str) -> Table:
    """The comparison as a table: what each earned, then what one has over the other."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column("figure")
    table.add_column("value", justify="right")
    for letter, name, played in zip("AB", names, (comparison.a, comparison.b), strict=True):
        table.add_row(f"{letter}  {name}", interval_text(problem_interval(played.returns)))
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


def standing_table(standing: EnsembleScores, rule: str, title: str) -> Table:
    """What each earned and what the ensemble earned more; intervals are over problems."""
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    many = min(ROWS, len(standing.ensemble.evaluation.returns))
    for heading in ("score", "return", "ensemble - it", "tokens", "CPU ms/token", f"of {many} at once"):
        table.add_column(heading, justify="right")
    named = {f"ensemble ({rule})": standing.ensemble, **standing.members}
    for name, played in sorted(named.items(), key=lambda item: -item[1].evaluation.mean_return):
        member, earned = name in standing.members, problem_interval(played.evaluation.returns)
        table.add_row(
            name,
            f"{played.evaluation.score:.3f}",
            f"{earned.estimate:+.3f} ± {earned.half_width:.3f}",
            interval_text(standing.gain(name)) if member else "",
            str(played.evaluation.distinct_tokens),
            f"{played.alone:.3f}",
            f"{played.side_by_side:.4f}",
            style=None if member else "bold",
        )
    return table


HEADINGS = (
    "score",  # mean return / mean optimum of the same problems
    "return",
    "adequacy",
    "penalty",
    "adequacy by rarity",  # share recovered of each quarter of the words, the commonest first
    "tokens",  # distinct ones
    "perplexity",  # exp of the entropy of the tokens said
)


def score_table(by_policy: Mapping[str, Scores], title: str, masked: bool = False) -> Table:
    """The figures of several policies, best mean return first; intervals are over problems.

    Args:
        by_policy: as `evaluate_agent` and `evaluate_references` give them.
        title: of the table.
        masked: whether the agent was kept to legal tokens, which its rows then tell.
    """
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for heading in HEADINGS:
        table.add_column(heading, justify="right")
    for name, row in sorted(by_policy.items(), key=lambda item: -item[1].mean_return):
        ours = name in (GREEDY, SAMPLED)
        table.add_row(
            name.replace("agent", "masked") if ours and masked else name,
            _with_interval(row.score, row.score_half_width),
            _with_interval(row.mean_return, row.half_width, "+"),
            f"{row.mean_adequacy:.3f}",
            f"{row.mean_fluency_penalty:.3f}",
            " ".join("—" if share is None else f"{share:.2f}".removeprefix("0") for share in row.adequacy_by_rarity),
            str(row.distinct_tokens),
            f"{row.token_perplexity:.1f}",
            style="bold" if ours else None,
        )
    return table


def _with_interval(figure: float | None, half_width: float | None, sign: str = "") -> str:
    if figure is None:
        return "—"
    return f"{figure:{sign}.3f}" + ("" if half_width is None else f" ± {half_width:.3f}")
