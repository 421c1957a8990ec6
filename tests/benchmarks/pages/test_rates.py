"""The table of learning rates has the end of the trainings at every rate, or how many of them diverge."""

from benchmarks.pages.rates import rates_table
from tests.support.benchmarks.claim_runs import around, evidence


def test_rates_are_listed_in_their_order_with_ends_and_diverging_runs():
    runs = {
        "fast/as-reported": {"ends": around(1.0, 0.1)},
        "fast/rate-1e-5": {"losses": ([1.0], [None], [1.0])},
        "stable/sgd-rate-1e0": {"diverged": 3},
        "stable/rate-1e-4": {"seeds": (0, 1)},
    }
    header, _, *lines = (line.strip("| ").split(" | ") for line in rates_table(evidence(runs)).splitlines())
    assert header == [
        "learning rate", "fast,<br>Adam", "fast,<br>RMSprop", "fast,<br>SGD", "stable,<br>Adam", "stable,<br>RMSprop",
        "stable,<br>SGD",
    ]  # fmt: skip
    assert [line[0] for line in lines] == sorted((line[0] for line in lines), key=float)
    cells = {line[0]: line[1:] for line in lines}
    assert cells["1e-6"] == ["+1.00 ± 0.25", "—", "—", "—", "—", "—"]
    assert cells["1e-5"] == ["diverges (1 of 3)", "—", "—", "—", "—", "—"]
    assert cells["1e-4"] == ["—"] * 6  # two runs are too few
    assert cells["1e0"] == ["—", "—", "—", "—", "—", "diverges (3 of 3)"]
