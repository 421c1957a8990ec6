"""Test whether cases learn the same: not that no difference is shown, but that a difference is shown to be small."""

import pandas as pd

from agents.evaluation.statistics import difference_interval

MARGIN = 0.1  # of a mean return: a tenth of what fast earns with plain logits
CONFIDENCE = 0.90  # of the interval; inside ±MARGIN means two one-sided tests at 5 % each (Schuirmann, 1987)
COMPARED = {"mean_last_100": "mean of the last 100", "test_return": "test, greedy"}


def equivalence_table(runs: pd.DataFrame) -> str:
    """Each case beside the first, as a Markdown table: the differences with their intervals, and the verdict.

    Args:
        runs: a row a run, as `frame` gives them, their cases in order.
    """
    first, *others = (case for case in runs["case"].unique())
    rows = [["", *(f"{heading}: difference" for heading in COMPARED.values()), "seeds", f"within ±{MARGIN:g}"]]
    rows.append(["---", *["---:"] * (len(COMPARED) + 1), "---"])
    for case in others:
        of_case, of_first = (runs[runs["case"] == name] for name in (case, first))
        found = [difference_interval(of_case[name], of_first[name], CONFIDENCE) for name in COMPARED]
        within = all(interval.low > -MARGIN and interval.high < MARGIN for interval in found)
        told = [f"{each.estimate:+.3f} [{each.low:+.3f}, {each.high:+.3f}]".replace("-", "−") for each in found]
        rows.append([f"{case} − {first}", *told, f"{len(of_case)}, {len(of_first)}", "yes" if within else "not shown"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
