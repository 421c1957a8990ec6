"""Trainings of two benchmarks with the same settings and seeds are named."""

from benchmarks.measures.shared_runs import shared_text
from tests.support.benchmarks.rows import make_row


def preset(seed, **changes):
    return make_row("fast-vs-stable", "fast/preset", seed, **changes)


def endless(seed, **changes):
    return make_row("generalisation", "fast/endless", seed, **changes)


def text(sizes, others):
    rows = {"fast-vs-stable": sizes, "generalisation": others}
    return shared_text("fast-vs-stable", rows).removeprefix("Also in other tables, with the same settings and seeds: ")


def test_copied_rows_and_repeated_trainings_are_told_apart():
    assert text([preset(0), preset(1)], [endless(0), endless(1), endless(2)]) == (
        "fast/preset as fast/endless of generalisation (2 seeds, the same runs)."
    )
    again = endless(0, started="2026-02-02T00:00:00+0000")
    assert text([preset(0)], [again]).endswith("(1 seed, trained twice with the same returns).")
    other = endless(1, returns=[0.0] * len(again.returns))
    assert text([preset(0), preset(1)], [again, other]).endswith(
        "(2 seeds, trained twice with the same returns in 1 of 2)."
    )


def test_other_settings_or_seeds_are_other_trainings():
    assert text([preset(0)], [endless(1)]) == ""
    assert text([preset(0)], [make_row("generalisation", "fast/10-problems", 0)]) == ""


def test_evaluation_does_not_make_a_training_another():
    validated = make_row("learning", "fast/planning", 0)
    assert validated.settings.evaluation.split == "validation"
    text = shared_text("fast-vs-stable", {"fast-vs-stable": [preset(0)], "learning": [validated]})
    assert "fast/preset as fast/planning of learning (1 seed" in text
