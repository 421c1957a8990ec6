"""What the commands of benchmarks print and write."""

import multiprocessing
import re

import pytest

from agents.machine.matmul import Cpu
from agents.settings.layers import merge_layers, preset_layer
from benchmarks.measures.results_file import append, results_file
from tests.support.benchmarks.rows import make_row


def test_the_coverage_study_prints_a_table_and_writes_its_figures(run, tmp_path):
    code, out, _ = run("benchmarks coverage --trials 3 --out figures.csv")
    assert code == 0
    assert out.startswith("| 95 % interval for | seeds | normal | skewed | collapsing |")
    assert (tmp_path / "figures.csv").read_text().startswith("runs,interval,seeds,trials,coverage")


@pytest.fixture
def results(tmp_path):
    """A folder with two runs and a damaged line."""
    for case in ("tiny/ppo", "tiny/a2c"):
        append("tiny", tmp_path, make_row(case=case))
    with results_file("tiny", tmp_path).open("a") as file:
        file.write("nonsense\n")
    return tmp_path


def test_a_table_with_a_damaged_row_shows_the_good_ones_names_it_and_exits_with_2(run, results):
    for form, expected in (
        ("terminal", "Best episode"),
        ("markdown", "| Best episode |"),
        ("csv", "max_return,tiny/a2c,1"),
    ):
        code, out, error = run(f"benchmarks table tiny --results {results} --format {form}")
        assert code == 2
        assert expected in out
        assert "line 3, is left out: it is damaged" in error
    assert run(f"benchmarks plots tiny --results {results} --out pictures")[0] == 2
    assert len(list((results / "pictures").iterdir())) == 10


def test_claims_are_told_from_what_there_is_in_both_formats(run, tmp_path):
    append("claims", tmp_path, make_row("claims", "fast/curriculum"))
    code, out, error = run(f"benchmarks claims --results {tmp_path}")
    assert (code, error) == (0, "")
    claim = "A curriculum brings more than a point of score."
    assert f"curriculum: NOT RUN YET\n  {claim}\n  - There are 1 runs of fast/curriculum of claims" in out
    with results_file("claims", tmp_path).open("a") as file:
        file.write("nonsense\n")
    code, out, error = run(f"benchmarks claims --results {tmp_path} --format markdown")
    assert code == 2
    assert "line 2, is left out: it is damaged" in error
    assert f"| {claim} | **not run yet** | There are 1 runs" in out


def test_a_table_shows_the_rows_and_columns_asked_for(run):
    code, out, error = run("benchmarks table --format markdown --metric test_return --case fast/preset")
    assert (code, error) == (0, "")
    heading, _, section, row, *_ = out.splitlines()
    assert heading.count("|") == 5
    assert "**Held-out problems**" in section
    assert re.match(r"\| Return \| — \| \+\d\.\d\d ± ", row)


def test_speed_compares_every_interface_and_leaves_no_process_behind(run, monkeypatch):
    small = {"MEASURED_SIZES": ("tiny",), "ROWS": (2, 3), "PROCESS_ROWS": 2, "EPISODES": 1, "LOOP_STEPS": 1}
    for name, value in (small | {"MASK_VOCAB": 64, "MASK_CALLS": 1}).items():
        monkeypatch.setattr(f"benchmarks.speed.environment.{name}", value)
    code, out, _ = run("benchmarks speed env --repeats 1")
    assert code == 0
    figures = {line.split("│")[1].strip() + line.split("│")[2]: line for line in out.splitlines() if line[:1] == "│"}
    for name in ("make_vec", "SyncVectorEnv", "AsyncVectorEnv", "our SB3 VecEnv", "DummyVecEnv", "SubprocVecEnv"):
        for rows in (2, 3):
            (line,) = [line for start, line in figures.items() if name in start and start.endswith(f" {rows} ")]
            assert (line.count("—") == 2) == (rows == 3 and name in ("AsyncVectorEnv", "SubprocVecEnv")), line
    for other in ("the plain Env", "making the language of tiny", "masks, V = 64"):
        assert any(start.startswith(other) for start in figures), other
    assert not multiprocessing.active_children()
    assert max(map(len, out.splitlines())) <= 120


def test_speed_of_training_compares_our_trainers_with_stock_sb3(run, monkeypatch):
    brief = {"ppo": {"n_envs": 8, "batch_size": 64, "n_epochs": 1}}
    monkeypatch.setattr("benchmarks.speed.training.SIZES", ("tiny",))
    monkeypatch.setattr("benchmarks.speed.trainers.SHARED", {"n_envs": 16, "n_steps": 8, "batch_size": 64})
    monkeypatch.setattr("benchmarks.speed.trainers.preset_layer", lambda size: merge_layers(preset_layer(size), brief))
    monkeypatch.setattr("benchmarks.speed.training.REPEAT_FLOPS", 1.0)
    monkeypatch.setattr(
        "agents.machine.matmul.this_cpu", lambda: Cpu("AuthenticAMD", frozenset({"avx512f", "avx512_bf16"}))
    )
    monkeypatch.setattr("benchmarks.speed.trainers.find_spec", lambda name: None)  # sbx is not installed
    code, out, _ = run("benchmarks speed train --repeats 1")
    assert code == 0
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line[:1] == "│"]
    ours = ["fast heads", "fast heads, bf16", "tied head", "tied head, bf16", "planning head"]
    assert [row[0] for row in rows] == ["SB3, DummyVecEnv", "SB3, our VecEnv", *ours] * 2
    rates = [float(row[1].replace(",", "")) for row in rows[:7]]
    assert {row[3][-1] for row in rows} == {"%"}
    assert [float(row[4]) for row in rows[:7]] == pytest.approx([rate / rates[0] for rate in rates], abs=0.01)
    assert [float(row[5]) for row in rows[:7]] == pytest.approx([rate / rates[1] for rate in rates], abs=0.01)
    assert all(float(row[7][:-1]) + float(row[8][:-1]) == pytest.approx(100, abs=1) for row in rows)
    assert max(map(len, out.splitlines())) <= 120


@pytest.mark.parametrize(
    ("typed", "reason"),
    [
        ("env --growth", "--growth belongs to train, not to env; type python -m benchmarks speed train --growth."),
        ("solver --all-cores", "--all-cores belongs to train"),
        ("train --growth --all-cores", "--growth measures one core"),
    ],
)
def test_options_of_training_are_refused_elsewhere(typed, reason, run):
    code, _, error = run(f"benchmarks speed {typed}")
    assert code == 2
    assert reason in error


def test_speed_of_the_solver_is_told_beside_the_plain_pass(run, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.solver.MEASURED", (("synthetic", "tiny"), ("english", "tiny")))
    code, out, _ = run("benchmarks speed solver --repeats 1")
    assert code == 0
    assert [line.split("│")[1].strip() for line in out.splitlines() if line[:1] == "│"] == ["synthetic", "english"]


@pytest.mark.parametrize("form", ["terminal", "markdown"])
def test_speed_of_policies_stands_beside_that_of_the_libraries_own(form, run, monkeypatch):
    monkeypatch.setattr("benchmarks.speed.policies.ACTIONS", (40,))
    monkeypatch.setattr("benchmarks.speed.policies.WORK", 1)
    monkeypatch.setattr(
        "benchmarks.speed.policies._rate", lambda model, steps: 20.0 if "Fast" in str(model.policy_class) else 8.0
    )
    code, out, _ = run(f"benchmarks speed policies --repeats 1 --format {form}")
    assert code == 0
    bar = "│" if form == "terminal" else "|"
    rows = [[cell.strip() for cell in line.split(bar)[1:-1]] for line in out.splitlines() if line[:1] == bar]
    measured = [row for row in rows if row[0] == "40"]
    assert measured == [["40", name, "8", "20", "2.5"] for name in ("PPO", "A2C", "MaskablePPO", "RecurrentPPO")]
    if form == "markdown":
        assert rows[:2] == [
            ["actions", "algorithm", "its own policy", "fast policy", "×"],
            ["---:", "---", *["---:"] * 3],
        ]
    assert max(map(len, out.splitlines())) <= 120


def test_speed_of_runs_tells_what_each_care_takes_of_the_training(run, monkeypatch):
    brief = {"episodes": 400, "evaluation": {"problems": 20}}
    monkeypatch.setattr("benchmarks.speed.overheads.SIZES", ("tiny",))
    monkeypatch.setattr("benchmarks.speed.overheads.preset_layer", lambda size: merge_layers(preset_layer(size), brief))
    code, out, _ = run("benchmarks speed runs --repeats 1")
    assert code == 0
    cells = next([cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "tiny" in line)
    shares = [float(cell.removesuffix(" %")) for cell in cells[2:]]
    assert len(shares) == 4
    assert min(shares) > 0
    assert sum(shares) < 100
