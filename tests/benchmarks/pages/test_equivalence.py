import pandas as pd

from benchmarks.pages.equivalence import equivalence_table


def told(differences):
    """The verdict's line where the second case's runs are the first's and so much more."""
    first = [1.0, 1.02, 0.98, 1.01, 0.99]
    values = {"fast/stock": first, "fast/fast": [value + more for value, more in zip(first, differences, strict=True)]}
    rows = [{"case": case, "mean_last_100": value, "test_return": value} for case, of in values.items() for value in of]
    return equivalence_table(pd.DataFrame(rows)).splitlines()[-1]


def test_cases_that_differ_by_little_in_every_run_are_equivalent():
    # standard error of the difference 0.01, Student's t at 8 degrees of freedom 1.860
    assert told([0.01] * 5) == (
        "| fast/fast − fast/stock | +0.010 [−0.009, +0.029] | +0.010 [−0.009, +0.029] | 5, 5 | yes |"
    )


def test_a_difference_that_is_too_large_or_not_known_well_enough_is_not_equivalence():
    assert told([0.15] * 5).endswith("| not shown |")
    assert told([0.3, -0.3, 0.2, -0.2, 0.0]).endswith("| not shown |")


def test_every_negative_figure_has_a_minus_sign():
    assert "−1.200 [−1.219, −1.181]" in told([-1.2] * 5)


def test_a_single_run_shows_nothing():
    runs = pd.DataFrame({"case": ["a", "b"], "mean_last_100": [1.0, 1.0], "test_return": [1.0, 1.0]})
    assert equivalence_table(runs).endswith("| not shown |")
