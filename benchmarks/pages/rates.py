"""Build the study of learning rates: the end of a training at each rate, with each optimizer and at both sizes."""

from agents.evaluation.formats import NO_VALUE, plus_minus_text
from agents.evaluation.statistics import mean_interval
from benchmarks.claims.evidence import Evidence, TooFewRunsError, as_array
from benchmarks.claims.rate_rules import LABELS, SIZES, diverges, rate_source
from benchmarks.measures.figures import mean_last_100
from benchmarks.suite.claim_cases import OPTIMIZER_RATES


def rates_table(evidence: Evidence) -> str:
    """Format the mean of the last 100 episodes ± half of its 95 % interval, by learning rate, as Markdown."""
    columns = [(size, optimizer) for size in SIZES for optimizer in OPTIMIZER_RATES]
    rates = sorted({rate for of_optimizer in OPTIMIZER_RATES.values() for rate in of_optimizer}, key=float)
    rows = [["learning rate", *(f"{size},<br>{LABELS[optimizer]}" for size, optimizer in columns)]]
    rows.append(["---", *["---:"] * len(columns)])
    rows += [[rate, *(_cell(evidence, *column, rate) for column in columns)] for rate in rates]
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(evidence: Evidence, size: str, optimizer: str, rate: str) -> str:
    if rate not in OPTIMIZER_RATES[optimizer]:
        return NO_VALUE
    try:
        rows = evidence.rows(rate_source(size, optimizer, rate))
    except TooFewRunsError:
        return NO_VALUE
    if diverging := sum(map(diverges, rows)):
        return f"diverges ({diverging} of {len(rows)})"
    end = mean_interval(as_array(map(mean_last_100, rows)))
    return plus_minus_text(end.estimate, end.half_width, "+.2f")
