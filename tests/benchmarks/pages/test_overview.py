"""README's table: the report's figures and verdicts beside ours, of the two sizes that it compares."""

import pytest

from benchmarks.measures.frame import frame
from benchmarks.pages.overview import LINES, overview_note, overview_table
from tests.support.benchmarks.rows import figures, make_row

OPTIMUM = 4.0


@pytest.fixture(autouse=True)
def made_up_optimum(monkeypatch):
    """Nothing is solved."""
    monkeypatch.setattr("benchmarks.measures.figures.mean_optimum", lambda *of: OPTIMUM)


def played(case, seed, value, benchmark="fast-vs-stable", **changes):
    """A run whose agent earns this on held-out problems, in place of its own figures."""
    row = make_row(benchmark, case, seed)
    returns = changes.pop("ends", value)
    held_out = row.held_out | {"agent (greedy)": figures(mean_return=value)} | changes.pop("held_out", {})
    return make_row(benchmark, case, seed, held_out=held_out, returns=[returns] * len(row.returns), **changes)


def sizes(fast=3.0, stable=2.0, seeds=(0, 1), **changes):
    """Runs of the report's settings and of the presets of both sizes; seeds differ by 0.04."""
    values = {"fast/as-reported": -90.0, "fast/preset": fast, "stable/as-reported": -190.0, "stable/preset": stable}
    return [played(case, seed, value + 0.04 * seed, **changes) for case, value in values.items() for seed in seeds]


def plain(sizes_and_seeds):
    """Runs of the presets with plain logits, and of one with its own head, which is not shown."""
    rows = [played(f"{size}/sb3-classes", seed, 1.0, "reach") for size, seeds in sizes_and_seeds for seed in seeds]
    return [*rows, played("fast/preset", 0, 3.9, "reach")]


def table(rows, plain_rows=None):
    """The cells of the table by the first of each row; the first row is the heading."""
    plain_rows = plain([("fast", (0, 1)), ("stable", (0, 1))]) if plain_rows is None else plain_rows
    text = overview_table(frame("fast-vs-stable", rows), frame("reach", plain_rows))
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert {len(row) for row in cells} == {5}
    return {label: rest for label, *rest in cells}


def line(rows, words, plain_rows=None):
    (own_cells,) = (cells for label, cells in table(rows, plain_rows).items() if words in label)
    return own_cells


def test_the_table_has_at_most_twenty_rows_and_names_the_seeds():
    lines = table(sizes())
    assert len(LINES) == len(lines) - 2 <= 20  # heading and rule
    assert lines[""][1:3] == ["fast<br>(2 seeds)", "stable<br>(2 seeds)"]
    assert line(sizes(seeds=(0,)), "episodes a minute")[1:3] == ["2,000", "5,000"]
    assert table(sizes(seeds=(0,)))[""][1] == "fast<br>(1 seed)"


def test_figures_of_the_report_stand_in_one_column():
    rows = sizes()
    assert line(rows, "best episode")[0] == "2.05 / 3.22"
    assert line(rows, "lowest of the last 20")[0] == "0.25 / −2.92"
    assert line(rows, "vocabulary")[0] == "1,000 / 5,000"
    assert line(rows, "learning rate")[0] == "1e-6 / 1e-6"
    assert line(rows, "training, min")[0] == "5 / 54"
    assert line(rows, "score")[0] == "—"


def test_a_cell_is_a_mean_with_half_of_its_interval_and_no_interquartile_mean():
    cell = line(sizes(seeds=range(10)), "score")[1]
    assert cell == "79.5 ± 2.2"  # 75 + 1 a seed; 2.262 · 3.03 / √10
    assert line(sizes(), "mean of the last 100")[1] == "3.02 ± 0.25"  # 12.71 · 0.02


def test_the_winner_is_the_reports_and_then_ours():
    assert line(sizes(fast=3.0, stable=2.0), "mean of the last 100")[-1] == "stable → fast"
    assert line(sizes(fast=2.0, stable=2.0), "mean of the last 20")[-1] == "fast → —"
    assert line(sizes(), "score")[-1] == "— → fast"
    assert line(sizes(), "model file")[-1] == "fast → —"  # fewer are better; made-up rows have equal files
    assert line(sizes(), "vocabulary")[-1] == "—"
    assert line(sizes(fast=3.0, stable=3.0), "score")[-1] == "—"


def test_the_reports_rate_stands_beside_random_play_without_a_winner():
    assert line(sizes(), "report's rate") == ["0.93 / 1.04", "−90 ± 0 (−90)", "−190 ± 0 (−90)", "—"]


def test_processor_time_and_the_optimum_stand_in_parentheses():
    assert line(sizes(), "training, min")[1] == "1.00 (0.75)"
    assert line(sizes(seeds=(0,)), "return, held out")[1:] == ["3.00 (4.00)", "2.00 (4.00)", "—"]


def test_the_agent_is_compared_with_greedy_on_the_same_problems():
    rows = sizes(seeds=(0, 1), held_out={"greedy": figures(mean_return=2.4)})
    assert line(rows, "no learning")[1:] == ["60.0", "60.0", "—"]
    assert line(rows, "agent less")[1:] == ["+15.5 ± 6.4", "−9.5 ± 6.4", "— → fast"]


def test_lookahead_is_shown_where_rows_have_it():
    assert line(sizes(), "lookahead")[1:] == ["—", "—", "—"]
    assert line(sizes(held_out={"lookahead": figures(mean_return=3.6)}), "lookahead")[1:] == ["90.0", "90.0", "—"]


def test_plain_logits_name_their_seeds_where_they_differ_from_the_heading():
    cells = line(sizes(), "plain logits", plain([("fast", (0, 1)), ("stable", (0,))]))
    assert cells[1:] == ["25.0", "25.0 (1 seed)", "—"]
    assert line(sizes(), "plain logits", plain([("fast", (0, 1))]))[1:] == ["25.0", "—", "—"]


def test_spread_is_in_per_cent_of_the_optimum():
    ends = {"fast": [1.0, 3.0], "stable": [2.0, 3.0]}
    rows = [
        row.model_copy(update={"returns": tuple(ends[row.case.split("/")[0]] * (len(row.returns) // 2))})
        for row in sizes()
    ]
    assert line(rows, "spread")[1:] == ["25.1", "12.6", "— → stable"]  # √(100 / 99) and half of it, of 4


def test_the_line_below_quotes_the_report_and_names_the_heads():
    note = overview_note(sizes())
    assert "quoted, not compared" in note
    head = sizes()[2].settings.policy.head
    assert f"`policy.head={head}`" in note
