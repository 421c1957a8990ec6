import io
import re

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from benchmarks.measures.frame import frame
from benchmarks.measures.metrics import METRICS
from benchmarks.measures.results_file import append, results_file
from benchmarks.measures.summary import compare, long_table, summarise
from benchmarks.pages import documents
from benchmarks.pages.plots import image, learning_curves, write_plots
from benchmarks.pages.table import caption, cell_text, fit_console, markdown_table, table_text
from benchmarks.suite.cases import BENCHMARKS, find_benchmark
from benchmarks.suite.reported import reported
from tests.support.benchmarks.rows import figures, make_diverged_row, make_row
from token_env import SettingError

CONTEST = ("fast/preset", "stable/preset")


def runs_of(metric, **values):
    """A frame with this metric alone, a list of values a case."""
    rows = [{"case": case, metric: value} for case, of_case in values.items() for value in of_case]
    return pd.DataFrame(rows)


def cell(metric, values, with_iqm=False):
    summary = summarise(runs_of(metric, case=values), METRICS[metric])["case"]
    return cell_text(summary, METRICS[metric], with_iqm)


def test_a_cell_is_a_mean_with_half_of_students_interval():
    assert cell("test_return", [1.0, 2.0, 4.0, 9.0, 4.0]) == "+4.00 ± 3.83"  # t 2.776 · √(9.5 / 5)
    assert cell("convergence", [800.0, 1000.0, None]) == "900 ± 1,271 (2 of 3 runs)"


def test_a_cell_without_spread_or_with_one_run_is_one_number():
    assert cell("policy_mb", [1.7, 1.7, 1.7]) == "1.7"
    assert cell("test_return", [-0.5]) == "−0.50"
    assert cell("device", ["cpu", "cpu"]) == "cpu"
    assert cell("device", ["cpu", "mps"]) == "cpu, mps"
    assert cell("convergence", [None, None]) == "—"


def test_losses_of_any_size_can_be_read():
    assert [cell("min_loss", [loss]) for loss in (0.0077, -0.04134, 473.25, 1123.4)] == [
        "0.0077",
        "−0.0413",
        "473",
        "1,123",
    ]


def test_the_interquartile_mean_stands_beside_from_ten_seeds_on():
    values = [*np.linspace(0, 1, 9), 1000.0]
    assert "IQM +0.56" in cell("test_return", values, with_iqm=True)  # the mean of the third to the eighth of ten
    assert "IQM" not in cell("test_return", values)
    assert "IQM" not in cell("test_return", values[:9], with_iqm=True)


def test_a_winner_needs_an_interval_that_excludes_zero():
    clear = runs_of("test_return", **{"fast/preset": [1.0, 1.1, 1.2], "stable/preset": [2.0, 2.1, 2.2]})
    assert compare(clear, METRICS["test_return"], CONTEST) == ("stable/preset", 0.0)
    close = runs_of("test_return", **{"fast/preset": [1.0, 1.1, 1.2], "stable/preset": [1.0, 1.05, 1.3]})
    assert compare(close, METRICS["test_return"], CONTEST).winner is None


def test_less_is_better_where_the_metric_says_so():
    runs = runs_of("training_minutes", **{"fast/preset": [1.0, 1.1, 1.2], "stable/preset": [2.0, 2.1, 2.2]})
    assert compare(runs, METRICS["training_minutes"], CONTEST) == ("fast/preset", 1.0)


@pytest.mark.parametrize(
    ("metric", "first", "second"),
    [
        ("cpu_percent", [1.0, 2.0], [3.0, 4.0]),  # neither way is better
        ("convergence", [100.0, None], [300.0, 300.0]),  # a run without a figure
        ("test_return", [1.0], [2.0, 2.0]),  # one run
        ("test_return", [], [2.0, 2.0]),
    ],
)
def test_no_winner_is_named_where_nothing_can_be_compared(metric, first, second):
    runs = runs_of(metric, **{"fast/preset": first, "stable/preset": second})
    assert compare(runs, METRICS[metric], CONTEST) is None


@pytest.fixture(scope="module")
def whole():
    """Two seeds of every case."""
    return [
        make_row("fast-vs-stable", case.name, seed) for case in BENCHMARKS["fast-vs-stable"].cases for seed in (0, 1)
    ]


def solved(rows):
    """The figures of made-up runs; their optimum is made up as well, so that nothing is solved."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("benchmarks.measures.figures.mean_optimum", lambda *of: 4.0)
        return frame("fast-vs-stable", rows)


@pytest.fixture(scope="module")
def runs(whole):
    return solved(whole)


def test_the_table_has_every_size_as_reported_as_measured_and_the_winner(runs):
    table = table_text(find_benchmark("fast-vs-stable"), runs)
    assert [(column.size, column.variant) for column in table.columns] == [
        (size, variant)
        for size in ("fast", "intermediate", "stable")
        for variant in ("reported", "as-reported", "preset")
    ]
    rows = {row[0]: row[1:] for section in table.sections.values() for row in section}
    assert rows["Best episode"][0] == "+2.05"
    assert rows["Best episode"][3] == "—"
    assert rows["Best episode"][6] == "+3.22"
    assert rows["Learning rate"][:3] == ["1e-6", "1e-6", "5e-3, falling"]
    assert rows["Return"][-1] == "no difference shown"
    assert "Device use, %" not in rows  # nobody tells it
    assert table.winner == "fast or stable?"


def test_a_verdict_names_the_size_with_its_probability_of_improvement(whole):
    better = [
        row.model_copy(update={"held_out": row.held_out | {"agent (greedy)": row.training_problems}})
        if row.case == "stable/preset"
        else row
        for row in whole
    ]
    row = table_text(find_benchmark("fast-vs-stable"), solved(better)).sections["Held-out problems"][0]
    assert row[0] == "Return"
    assert row[-1] == "stable (1.00)"


def test_a_terminal_too_narrow_for_all_columns_gets_a_table_a_size(runs):
    table = table_text(find_benchmark("fast-vs-stable"), runs)
    assert len(fit_console(Console(width=400), table, "title")) == 1
    narrow = fit_console(Console(width=120), table, "title")
    assert [drawn.title for drawn in narrow] == ["title: fast", "title: intermediate", "title: stable"]
    assert [len(drawn.columns) for drawn in narrow] == [5, 5, 5]
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(*narrow)
    shown = console.export_text()
    assert "…" not in shown
    assert shown.count("Best episode") == 3
    assert "+3.22" in shown


def test_every_reported_figure_belongs_to_a_metric():
    for size, quoted in reported().figures.items():
        assert set(quoted) <= set(METRICS), size


def test_the_long_table_has_every_figure_as_a_number(runs):
    rows = long_table(runs, [METRICS["test_return"]], CONTEST)
    assert rows["case"].tolist() == [case.name for case in BENCHMARKS["fast-vs-stable"].cases]
    assert rows["mean"].tolist() == pytest.approx([1.205] * 6)


def test_the_caption_tells_seeds_machine_versions_and_revision(whole):
    text = caption(whole)
    for expected in (
        "2 seeds of fast/as-reported", "Machine: p (family not recorded, 2 cores, cpu); threads", "torch",
        "Revision: 0123456789ab of 2026-01-02.",
    ):  # fmt: skip
        assert expected in text


def test_the_caption_of_several_machines_or_revisions_tells_which_case_has_which():
    rows = [make_row("fast-vs-stable", case, seed) for case in CONTEST for seed in (0, 1)]
    numbers = {"vendor": "AuthenticAMD", "family": 25, "model": 1, "torch_kernels": "AVX2"}
    rows[0] = rows[0].model_copy(update={"revision": "ffff"})
    rows[2:] = [row.model_copy(update={"machine": row.machine.model_copy(update=numbers)}) for row in rows[2:]]
    text = caption(rows)
    assert "p (AuthenticAMD family 25 model 1, AVX2, 2 cores, cpu) for stable/preset; " in text
    assert "p (family not recorded, 2 cores, cpu) for fast/preset; threads" in text
    assert "0123456789ab of 2026-01-02 for fast/preset (1 of 2 runs), stable/preset; " in text
    assert "ffff of 2026-01-02 for fast/preset (1 of 2 runs)." in text


def test_the_caption_tells_the_load_where_it_is_known():
    rows = [make_row("fast-vs-stable", case, 0) for case in CONTEST]
    assert "Load average" not in caption(rows)
    busy = rows[1].training.model_copy(update={"load_at_start": 0.0, "load_at_end": 6.25})
    with_load = [rows[0], rows[1].model_copy(update={"training": busy})]
    assert "threads a run: 1. Load average: 0.0 to 6.2, not recorded in 1 runs. Versions" in caption(with_load)


def test_a_run_that_diverged_is_missing_from_its_cell_and_told_in_the_caption(whole):
    rows = [*whole, make_diverged_row("fast-vs-stable", "fast/preset", seed=2)]
    table = table_text(find_benchmark("fast-vs-stable"), solved(rows))
    shown = {row[0]: row[3] for section in table.sections.values() for row in section}
    assert shown["Score, %"].endswith("(2 of 3 runs)")
    assert shown["Training time, min"] == "1.00 (2 of 3 runs)"
    assert "runs" not in shown["Vocabulary"]
    assert "Diverged: 1 of fast/preset." in caption(rows)


def test_pictures_are_drawn_beside_runs_that_diverged(tmp_path):
    rows = [make_row(), make_diverged_row(seed=1), make_diverged_row(case="tiny/a2c")]
    assert write_plots(find_benchmark("tiny"), rows, tmp_path)


@pytest.fixture(scope="module")
def committed():
    return documents.committed_rows()


def test_readme_and_the_page_show_the_committed_results(committed):
    for path, text in documents.render_pages(committed).items():
        assert path.read_text(encoding="utf-8") == text, "type python -m benchmarks table --readme"


def test_readme_would_differ_if_a_result_did(committed):
    rows = committed["fast-vs-stable"]
    good = list(rows.accepted)
    place = next(place for place, row in enumerate(good) if row.case == "fast/preset")
    good[place] = good[place].model_copy(update={"returns": (*good[place].returns[:-1], 700.0)})
    others = {name: other._replace(accepted=other.accepted[:1]) for name, other in committed.items()}
    pages_then = documents.render_pages(others | {"fast-vs-stable": rows._replace(accepted=good)})
    assert pages_then[documents.README] != documents.README.read_text(encoding="utf-8")


@pytest.fixture
def few_results(tmp_path, monkeypatch):
    """A folder in place of the committed results, with a run of each benchmark."""
    folder = tmp_path / "results"
    folder.mkdir()
    append("fast-vs-stable", folder, make_row("fast-vs-stable", "fast/preset"))
    for benchmark, case in (("generalisation", "fast/endless"), ("reach", "fast/preset"), ("heads", "fast/fast")):
        append(benchmark, folder, make_row(benchmark, case))
    monkeypatch.setattr(documents, "RESULTS", folder)
    return folder


def test_readme_is_not_written_from_results_of_which_some_are_left_out(few_results):
    with results_file("fast-vs-stable", few_results).open("a") as file:
        file.write("nonsense\n")
    before = documents.README.read_bytes()
    with pytest.raises(SettingError, match=r"README.md stays as it is"):
        documents.write_pages()
    assert documents.README.read_bytes() == before


def test_readme_is_not_written_from_runs_of_uncommitted_code(few_results):
    row = make_row("reach", "fast/preset", seed=1)
    append("reach", few_results, row.model_copy(update={"revision": "0123456789ab-dirty"}))
    before = documents.README.read_bytes()
    with pytest.raises(SettingError, match=r"README.md stays .*\n.*uncommitted code: fast/preset seed 1\. Remove"):
        documents.write_pages()
    assert documents.README.read_bytes() == before


@pytest.mark.parametrize("text", ["nothing", "<!-- table: written by python -m benchmarks table --readme -->\n"])
@pytest.mark.usefixtures("few_results")
def test_a_page_without_its_marks_is_refused(tmp_path, monkeypatch, text):
    page = tmp_path / "README.md"
    page.write_text(text)
    monkeypatch.setattr(documents, "README", page)
    with pytest.raises(SettingError, match=r"needs the lines .* exactly once"):
        documents.write_pages()
    assert page.read_text() == text


def test_markdown_has_as_many_cells_in_every_line(runs):
    drawn = markdown_table(table_text(find_benchmark("fast-vs-stable"), runs))
    assert {len(re.findall(r"\|", line)) for line in drawn.splitlines()} == {12}


def test_pictures_are_drawn_as_png_and_svg_and_repeat(tmp_path, whole):
    two_sizes = [row for row in whole if not row.case.startswith("intermediate/")]
    written = write_plots(find_benchmark("fast-vs-stable"), two_sizes, tmp_path)
    assert {path.suffix for path in written} == {".png", ".svg"}
    assert len(written) == 10
    for path in written:
        assert path.read_bytes()[:5] in (b"\x89PNG\r", b"<?xml")
    fast = [(case, [row for row in whole if row.case == case.name]) for case in BENCHMARKS["fast-vs-stable"].cases[:2]]
    assert image(learning_curves(fast), "svg") == image(learning_curves(fast), "svg")


def test_pictures_of_one_run_with_losses_missing_can_be_drawn(tmp_path):
    row = make_row(losses=[None, 1.0], training_problems=figures())
    assert write_plots(find_benchmark("tiny"), [row], tmp_path)
