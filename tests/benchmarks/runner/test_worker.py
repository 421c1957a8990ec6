"""What a row tells of a run that began with another's weights, and of one that was trained with masks."""

import pytest

from agents.settings.layers import merge_layers, preset_layer
from benchmarks.measures.results_file import append, read_rows, read_rows_if_any
from benchmarks.runner.harness import run_benchmark
from benchmarks.runner.worker import measure
from benchmarks.suite.case import Benchmark, Case
from benchmarks.suite.cases import BENCHMARKS

BRIEF = {"episodes": 40, "device": "cpu", "evaluation": {"problems": 20}, "checkpoints": {"validations": 0}}
SMALL = merge_layers(preset_layer("tiny"), BRIEF)
LARGE = merge_layers(SMALL, {"env": {"vocab_size": 128}, "policy": {"hidden": [96, 96]}})
PLAIN = {"policy": {"head": "fast"}, "ppo": {"action_bias": "zero"}}  # says what is not fluent, if it may
CASES = (
    Case("large", "hybrid", LARGE, start=SMALL),
    Case("large", "alone", LARGE, max_seeds=1),
    Case("small", "masks", merge_layers(SMALL, {"algorithm": "maskable-ppo", **PLAIN})),
)


@pytest.fixture
def declared(monkeypatch):
    """A benchmark of brief runs."""

    def declare(*cases):
        monkeypatch.setitem(BENCHMARKS, "brief", Benchmark("Brief", cases, (cases[0].name, cases[-1].name)))

    declare(*CASES)
    return declare


def measured(folder, case):
    assert measure("brief", case, 0, folder, folder / "runs" / case.replace("/", "-"))
    (row,) = (row for row in read_rows("brief", folder).accepted if row.case == case)
    return row


def test_a_run_begins_with_the_weights_of_its_start_and_tells_what_that_took(declared, tmp_path):
    hybrid, alone = measured(tmp_path, "large/hybrid"), measured(tmp_path, "large/alone")
    assert hybrid.returns != alone.returns  # the same seed and settings, other weights
    assert hybrid.start.settings.env.vocab_size == 64
    assert hybrid.start.training.cpu_seconds > 0
    assert alone.start is None
    assert str(tmp_path) not in hybrid.model_dump_json()


def test_a_run_that_was_cut_off_begins_with_its_start_again(declared, tmp_path):
    for name in ("seed-0", "seed-0-start"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "half").write_text("")
    assert measure("brief", "large/hybrid", 0, tmp_path, tmp_path / "seed-0")
    assert not list(tmp_path.glob("*/half"))


def test_a_run_with_another_start_than_declared_is_left_out(declared, tmp_path):
    measured(tmp_path, "large/hybrid")
    declared(CASES[0]._replace(start=merge_layers(SMALL, {"ppo": {"gamma": 0.25}})))
    (reason,) = read_rows_if_any("brief", tmp_path).refused.values()
    assert "large/hybrid has start.env.discount=0.25 today, this run had 0.5" in reason
    declared(CASES[0]._replace(start=None))
    (reason,) = read_rows_if_any("brief", tmp_path).refused.values()
    assert "large/hybrid has start.run=None today, this run had 'tiny'" in reason


def test_an_agent_trained_with_masks_is_measured_without_them_too(declared, tmp_path):
    masked, alone = measured(tmp_path, "small/masks"), measured(tmp_path, "large/alone")
    assert alone.without_masks is None
    free = masked.without_masks
    assert free.problems == 20
    assert free.mean_fluency_penalty > masked.held_out["agent (greedy)"].mean_fluency_penalty == 0.0
    append("brief", tmp_path, masked)
    assert len(read_rows("brief", tmp_path).accepted) == 2


def test_no_more_seeds_are_made_than_the_case_allows(declared, tmp_path, submitted):
    run_benchmark("brief", tmp_path, tmp_path / "runs", seeds=2)
    assert submitted == [
        "large/hybrid seed 0", "large/alone seed 0", "small/masks seed 0", "large/hybrid seed 1", "small/masks seed 1",
    ]  # fmt: skip
