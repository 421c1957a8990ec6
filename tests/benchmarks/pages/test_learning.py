"""The page on learning shows what has been run, and nothing else."""

import pytest

from agents.policies import tied_head
from agents.settings.layers import differences
from benchmarks.measures.head_numbers import Constants
from benchmarks.measures.results_file import append, read_rows_if_any, results_file
from benchmarks.pages import documents
from benchmarks.pages.learning import EARLY, learning_blocks
from benchmarks.pages.learning_picture import STYLES, learning_picture, spread
from benchmarks.pages.plots import image
from benchmarks.suite.cases import find_benchmark
from benchmarks.suite.learning_cases import ABLATIONS, HEADS
from tests.support.benchmarks.rows import figures, make_row
from token_env import SettingError

CASES = {case.variant: case for case in find_benchmark("learning").cases}
OPTIMUM = 4.0


@pytest.fixture(autouse=True)
def made_up_optimum(monkeypatch):
    """Nothing is solved."""
    for module in ("figures", "series"):
        monkeypatch.setattr(f"benchmarks.measures.{module}.mean_optimum", lambda *of: OPTIMUM)


def learned(variant, seed=0, share=0.5):
    """A made-up run that reaches this share of the optimum, and half of it at every validation before."""
    case = CASES[variant]
    settings = case.settings(seed)
    count, returns = settings.checkpoints.validations, share * OPTIMUM
    episodes = [settings.episodes * (place + 1) // count for place in range(count)]
    validations = [{"episodes": played, "mean_return": returns / 2} for played in episodes]
    validations[-1]["mean_return"] = returns
    held_out = {name: figures(mean_return=2.0) for name in ("fluent", "verbatim", "random", "optimal")}
    held_out |= {"greedy": figures(mean_return=3.2), "lookahead": figures(mean_return=3.6)}
    held_out |= {f"agent ({how})": figures(mean_return=returns) for how in ("greedy", "sampled")}
    changes = {"validations": validations, "held_out": held_out}
    if settings.policy.head in ("tied", "planning"):
        with case.constants_in_use():
            constants = Constants.in_use()
        changes["head"] = {
            "constants": constants,
            "scalar": 2.0,
            "matrix_diagonal": 0.0,
            "matrix_rest": 0.8,
            "slopes": [1.0, 9.0],
            "places": [3.0, 5.0],
            "emphasis": [1.0] * len(constants.knots),
        }
    if settings.policy.head == "tied":
        changes["planned"] = figures(mean_return=0.9 * OPTIMUM)
    return make_row("learning", case.name, seed, **changes)


def cells(table):
    """The cells of a table by their first."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert len({len(row) for row in rows}) == 1
    return {row[0]: row[1:] for row in rows}


def test_every_case_is_judged_on_validation_problems_and_heads_after_the_episodes_of_the_table():
    for case in CASES.values():
        settings = case.settings(0)
        assert settings.evaluation.split == "validation"
        assert settings.evaluation.problems == settings.checkpoints.problems
    for variant in HEADS:
        settings = CASES[variant].settings(0)
        assert all(count % (settings.episodes // settings.checkpoints.validations) == 0 for count in EARLY)


def test_every_ablation_changes_the_planning_head_in_one_thing():
    planning = CASES["planning"].settings(0).to_dict()
    for variant in ABLATIONS:
        case = CASES[variant]
        changed = [name for name, *_ in differences(planning, case.settings(0).to_dict())]
        changed = [name for name in changed if name != "checkpoints.validations"]
        followers = ("maskable_ppo.", "recurrent_ppo.", "env.discount")  # of the settings of ppo
        changed = [name for name in changed if not name.startswith(followers)]
        assert len(changed) + len(case.constants or {}) == 1, variant
    with CASES["no-matrix"].constants_in_use():
        assert tied_head.LR_MULTIPLIERS["matrix"] == 0.0
    assert tied_head.LR_MULTIPLIERS["matrix"] > 0.0


def test_tables_have_the_cases_that_were_run():
    rows = [learned(variant, seed) for variant in ("planning", "tied", "no-matrix") for seed in (0, 1)]
    blocks = learning_blocks(rows)
    heads, ablations = cells(blocks["heads"]), cells(blocks["ablations"])
    assert heads["`tied`"][:3] == ["25.0 ± 0.0", "25.0 ± 0.0", "50.0 ± 0.0"]
    assert heads["`tied`, with a plan at evaluation only"][2] == "90.0 ± 0.0"
    assert heads["reference `lookahead, k = 1`"][2] == "90.0"
    assert "`stock`" not in heads
    assert list(ablations)[2:] == ["none", ABLATIONS["no-matrix"].label]
    assert "2 seeds of fast/tied, fast/planning, fast/no-matrix" in blocks["runs"]


def test_the_time_to_a_score_counts_the_runs_that_reach_it():
    rows = [learned("planning", seed, share) for seed, share in enumerate((0.95, 0.95, 0.7))]
    seconds = rows[0].training.cpu_seconds  # made-up runs reach their score with the last validation
    rows[0] = rows[0].model_copy(update={"training": rows[0].training.model_copy(update={"cpu_seconds": seconds + 2})})
    *_, to_80, to_94, seeds = cells(learning_blocks(rows)["heads"])["`planning, depth 1`"]
    assert to_80 == to_94 == f"{seconds + 1:.0f} ± 13 (2 of 3)"  # t(0.975, 1) = 12.7
    assert seeds == "3"
    *_, to_80, to_94, _ = cells(learning_blocks(rows[2:])["heads"])["`planning, depth 1`"]
    assert to_80 == to_94 == "—"


def test_an_ablation_stands_beside_its_difference_from_the_planning_head():
    rows = [learned("planning", seed, 0.9 + 0.01 * seed) for seed in (0, 1)]
    rows += [learned("no-matrix", seed, 0.8 + 0.01 * seed) for seed in (0, 1)]
    _, score, difference, *_ = cells(learning_blocks(rows)["ablations"])[ABLATIONS["no-matrix"].label]
    assert score == "80.5 ± 6.4"
    assert difference.startswith("−10.0 ± ")
    assert cells(learning_blocks(rows[2:3])["ablations"])[ABLATIONS["no-matrix"].label][2] == "—"


def test_what_was_learned_stands_beside_the_tasks_own_numbers():
    numbers = cells(learning_blocks([learned("planning")])["numbers"])
    assert numbers["payment of a word of rarity 0.2"] == ["1.00", "0.50"]  # 0.185 e; the made-up g is constant
    assert numbers["penalty of a surprisal of 6 nats"] == ["6.00", "5.83"]  # (1 · 3 + 9 · 1) / 2; 0.7 / 0.12
    assert numbers["rest of W, % of the map"][0] == "10.0"  # 0.8 / (2 √16)


def test_before_any_run_the_page_names_the_command(tmp_path):
    blocks = learning_blocks([])
    assert "benchmarks run learning" in blocks["heads"]
    assert not blocks["picture"]
    assert learning_picture([]) is None
    assert learning_picture([learned("no-matrix")]) is None  # not the run of a head


def test_the_picture_has_a_curve_and_a_label_for_every_head_and_repeats():
    rows = [learned(variant, seed, 0.9) for variant in ("tied", "planning", "planning-2") for seed in (0, 1)]
    drawn = image(learning_picture(rows), "svg")
    for label in ("tied", "planning, depth 2", "greedy", "lookahead, k = 2", "optimum"):
        assert f">{label}<".encode() in drawn
    assert b">stock<" not in drawn
    assert drawn == image(learning_picture(rows), "svg")
    assert len(set(STYLES.values())) == len(HEADS)


def test_labels_that_would_overlap_are_moved_apart_around_their_heights():
    assert spread([1.0, 5.0], 2.0) == [1.0, 5.0]
    assert spread([1.0, 1.0, 9.0], 2.0) == [0.0, 2.0, 9.0]
    assert spread([0.0, 1.0, 2.5], 2.0) == pytest.approx([-5 / 6, 7 / 6, 19 / 6])


def test_the_page_shows_the_committed_results(monkeypatch):
    monkeypatch.undo()  # the optimum is solved
    (path, text), *_ = documents.learning_pages(read_rows_if_any("learning", documents.RESULTS)).items()
    assert path.read_text(encoding="utf-8") == text, "type python -m benchmarks learning --readme"


@pytest.fixture
def own_page(tmp_path, monkeypatch):
    """A copy of the page, a place for its picture, and a folder in place of the committed results."""
    page = tmp_path / "learning.md"
    page.write_bytes(documents.LEARNING_PAGE.read_bytes())
    monkeypatch.setattr(documents, "LEARNING_PAGE", page)
    monkeypatch.setattr(documents, "LEARNING_IMAGE", tmp_path / "picture")
    monkeypatch.setattr(documents, "RESULTS", tmp_path)
    return page


def test_the_command_writes_the_page_and_its_picture(own_page, run, tmp_path):
    append("learning", tmp_path, learned("planning"))
    code, out, error = run("benchmarks learning --readme")
    assert (code, error) == (0, "")
    assert len(out.splitlines()) == 3
    assert "| `planning, depth 1` | 25.0 |" in own_page.read_text()
    assert (tmp_path / "picture.png").read_bytes()[:4] == b"\x89PNG"
    assert b"<svg" in (tmp_path / "picture.svg").read_bytes()


def test_the_page_is_not_written_from_results_of_which_some_are_left_out(own_page, tmp_path):
    results_file("learning", tmp_path).write_text("nonsense\n")
    before = own_page.read_bytes()
    with pytest.raises(SettingError, match=r"learning\.md stays as it is"):
        documents.write_learning()
    assert own_page.read_bytes() == before


def test_the_command_prints_the_tables_of_a_folder(run, tmp_path):
    append("learning", tmp_path, learned("planning"))
    code, out, error = run(f"benchmarks learning --results {tmp_path}")
    assert (code, error) == (0, "")
    assert "| `planning, depth 1` | 25.0 |" in out
    assert run(f"benchmarks learning --readme --results {tmp_path}")[0] == 2
    assert "benchmarks run learning" in run("benchmarks learning --results nowhere")[2]
