"""Define the rows of the results table: label, number format and direction of each metric."""

import inspect
from typing import NamedTuple

from benchmarks.measures.figures import (
    QUARTERS,
    Figure,
    MetricFunction,
    adequacy_of_quarter,
    convergence,
    cpu_minutes,
    cpu_percent,
    device,
    device_memory_mb,
    device_use_percent,
    drawdown,
    episodes,
    episodes_per_minute,
    episodes_to_reported,
    file_mb,
    final_return,
    generalisation_gap,
    head,
    hidden,
    highest_last_20,
    highest_loss_last_20,
    learning_rate,
    lowest_last_20,
    lowest_loss_last_20,
    max_return,
    max_steps,
    mean_last_20,
    mean_last_100,
    min_loss,
    optimum,
    peak_memory_mb,
    policy_mb,
    reference_return,
    seconds_to_reported,
    spread,
    steps_per_second,
    test_return,
    test_return_sampled,
    test_tokens,
    token_perplexity,
    training_minutes,
    training_return,
    training_tokens,
    vocab_size,
)
from benchmarks.measures.row import Row
from benchmarks.measures.shares import (
    drawdown_share,
    lead_over_greedy,
    rarest_on_fast_messages,
    reference_score,
    score,
    score_sampled,
    share_of_greedy,
    spread_share,
    untrained_score,
    untrained_score_sampled,
    validation_score,
)


class Metric(NamedTuple):
    """One metric: a row of the results table."""

    label: str  # heading of the row in tables and plots
    compute: MetricFunction
    format_spec: str = ",.0f"  # Python format specification of its values
    better: int = 0  # 1: more is better, -1: less is better, 0: neither
    headline: bool = False  # whether the report page shows the row before details are asked for

    @property
    def name(self) -> str:
        """Column name in the DataFrame."""
        return self.compute.__name__

    @property
    def definition(self) -> str:
        """Published definition: the docstring of the metric function on one line."""
        return " ".join((inspect.getdoc(self.compute) or "").split())


SECTIONS = {
    "Configuration": (
        Metric("Episodes", episodes, headline=True),
        Metric("Vocabulary", vocab_size, headline=True),
        Metric("Hidden units", hidden, headline=True),
        Metric("Head of the policy", head),
        Metric("Steps", max_steps, headline=True),
        Metric("Learning rate", learning_rate, headline=True),
        Metric("Device", device, headline=True),
        Metric("Policy in memory, MB", policy_mb, ".1f", -1),
        Metric("Model file, MB", file_mb, ".1f", -1, headline=True),
    ),
    "Cost": (
        Metric("Training time, min", training_minutes, ".2f", -1, headline=True),
        Metric("Processor time, min", cpu_minutes, ".2f", -1),
        Metric("Episodes per minute", episodes_per_minute, ",.0f", 1, headline=True),
        Metric("Steps per second", steps_per_second, ",.0f", 1),
        Metric("Peak memory, MB", peak_memory_mb, ",.0f", -1, headline=True),
        Metric("CPU use, %", cpu_percent),
        Metric("Device memory, MB", device_memory_mb, ",.0f", -1),
        Metric("Device use, %", device_use_percent),
    ),
    "Training": (
        Metric("Best episode", max_return, "+.2f", 1, headline=True),
        Metric("Last episode", final_return, "+.2f", 1, headline=True),
        Metric("Mean of the last 100", mean_last_100, "+.2f", 1, headline=True),
        Metric("Mean of the last 20", mean_last_20, "+.2f", 1, headline=True),
        Metric("Lowest of the last 20", lowest_last_20, "+.2f", 1),
        Metric("Highest of the last 20", highest_last_20, "+.2f", 1),
        Metric("Lowest loss", min_loss, ".3g", headline=True),
        Metric("Lowest loss of the last 20 updates", lowest_loss_last_20, ".3g"),
        Metric("Highest loss of the last 20 updates", highest_loss_last_20, ".3g"),
        Metric("Drawdown", drawdown, ".2f"),
        Metric("Drawdown, % of the optimum", drawdown_share, ".1f", -1),
        Metric("Spread of the last 100", spread, ".2f"),
        Metric("Spread of the last 100, % of the optimum", spread_share, ".1f", -1),
        Metric("Converged by episode", convergence, ",.0f", -1, headline=True),
        Metric("Episodes to the report's average", episodes_to_reported, ",.0f", -1, headline=True),
        Metric("Seconds to the report's average", seconds_to_reported, ",.1f", -1, headline=True),
        Metric("Distinct tokens of the last 100", training_tokens, ",.1f", 1),
    ),
    "Held-out problems": (
        Metric("Return", test_return, "+.2f", 1, headline=True),
        Metric("Return, sampled tokens", test_return_sampled, "+.2f", 1),
        *(
            Metric(f"Return of `{name}`", reference_return(name), "+.2f")
            for name in ("greedy", "fluent", "verbatim", "random")
        ),
        Metric("Optimum", optimum, "+.2f", headline=True),
        Metric("Score, %", score, ",.1f", 1, headline=True),
        Metric("Score, sampled tokens, %", score_sampled, ",.1f", 1),
        Metric("Score on validation problems, %", validation_score, ",.1f", 1),
        Metric("Untrained policy: score, %", untrained_score, ",.1f"),
        Metric("Untrained policy: score, sampled tokens, %", untrained_score_sampled, ",.1f"),
        *(Metric(f"Score of `{name}`, %", reference_score(name), ".1f") for name in ("greedy", "lookahead")),
        Metric("Score less that of `greedy`, points", lead_over_greedy, "+,.1f", 1),
        Metric("Share of `greedy`, %", share_of_greedy, ",.1f", 1),
        Metric("Return on training problems", training_return, "+.2f", 1),
        Metric("Generalisation gap", generalisation_gap, "+.3f", headline=True),
        *(
            Metric(f"Adequacy, {name} words, %", adequacy_of_quarter(place), ".1f", 1, headline=name == "rarest")
            for place, name in enumerate(QUARTERS)
        ),
        Metric("Adequacy, rarest words of fast's messages, %", rarest_on_fast_messages, ".1f", 1),
        Metric("Distinct tokens", test_tokens, ",.1f", 1, headline=True),
        Metric("Token perplexity", token_perplexity, ".1f", 1),
    ),
}
METRICS = {metric.name: metric for metrics in SECTIONS.values() for metric in metrics}


def figures_of(row: Row) -> dict[str, Figure]:
    """Compute all metrics of a run, by metric name."""
    return {name: metric.compute(row) for name, metric in METRICS.items()}
