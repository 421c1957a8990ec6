"""Test cases for equivalence: the whole interval of their difference lies within a margin."""

import pandas as pd

from agents.evaluation.formats import interval_text
from agents.evaluation.statistics import difference_interval

MARGIN = 0.1  # largest difference of mean returns that counts as equal: a tenth of fast's return with plain logits
CONFIDENCE = 0.90  # a 90 % interval within ±MARGIN equals two one-sided tests at 5 % each (Schuirmann, 1987)
COMPARED = {"mean_last_100": "mean of the last 100", "test_return": "test, greedy"}


def equivalence_table(runs: pd.DataFrame) -> str:
    """Compare each case with the first in a Markdown table of differences, intervals and test results.

    Args:
        runs: Results with one row per run, as returned by `frame`; the first case is the reference.
    """
    first, *others = (case for case in runs["case"].unique())
    rows = [["", *(f"{heading}: difference" for heading in COMPARED.values()), "seeds", f"within ±{MARGIN:g}"]]
    rows.append(["---", *["---:"] * (len(COMPARED) + 1), "---"])
    for case in others:
        of_case, of_first = (runs[runs["case"] == name] for name in (case, first))
        intervals = [difference_interval(of_case[name], of_first[name], CONFIDENCE) for name in COMPARED]
        within = all(interval.low > -MARGIN and interval.high < MARGIN for interval in intervals)
        cells = [interval_text(each) for each in intervals]
        rows.append([f"{case} − {first}", *cells, f"{len(of_case)}, {len(of_first)}", "yes" if within else "not shown"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
