"""What a row tells of runs that began with another's weights, were trained with masks, or have a tied head."""

from contextlib import contextmanager

import pytest

import agents
from agents.evaluation.agent import Player
from agents.policies import tied_head
from agents.settings.layers import merge_layers, preset_layer
from agents.training.guards import DivergedError
from benchmarks.measures.results_file import read_rows, read_rows_if_any
from benchmarks.runner.harness import run_benchmark
from benchmarks.runner.measurement import measure
from benchmarks.suite.case import Benchmark, Case
from benchmarks.suite.cases import BENCHMARKS
from token_env import Task, evaluate

BRIEF = {"episodes": 40, "device": "cpu", "evaluation": {"problems": 20}, "checkpoints": {"validations": 0}}
SMALL = merge_layers(preset_layer("tiny"), BRIEF)
LARGE = merge_layers(SMALL, {"env": {"vocab_size": 128}, "policy": {"hidden": [96, 96]}})
PLAIN = {"policy": {"head": "fast"}, "ppo": {"action_bias": "zero"}}  # says what is not fluent, if it may
CASES = (
    Case("large", "hybrid", LARGE, start=SMALL),
    Case("large", "alone", LARGE, max_seeds=1),
    Case("small", "masks", merge_layers(SMALL, {"algorithm": "maskable-ppo", **PLAIN})),
)
VALIDATED = {"episodes": 80, "policy": {"head": "tied"}, "checkpoints": {"validations": 2, "problems": 5}}
ONE_BEND = Case("small", "one-bend", merge_layers(SMALL, VALIDATED), constants={"BENDS": (3.0,), "VALUE_SCALE": 0.0})


NAMES = [case.name for case in CASES]


@contextmanager
def declared(*cases):
    """A benchmark of brief runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHMARKS, "brief", Benchmark("Brief", cases, (cases[0].name, cases[-1].name)))
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Results of a run of every case; the first one was cut off before."""
    folder = tmp_path_factory.mktemp("brief")
    for case in ("large-hybrid", "large-hybrid-start"):
        (folder / "runs" / case).mkdir(parents=True)
        (folder / "runs" / case / "half").write_text("")
    with declared(*CASES):
        for name in NAMES:
            assert measure("brief", name, 0, folder, folder / "runs" / name.replace("/", "-"))
    return folder


@pytest.fixture(scope="module")
def rows(folder):
    with declared(*CASES):
        accepted = read_rows("brief", folder).accepted
    assert [row.case for row in accepted] == NAMES
    return accepted


def test_a_run_begins_with_the_weights_of_its_start_and_tells_what_that_took(folder, rows):
    hybrid, alone, _ = rows
    assert hybrid.returns != alone.returns  # the same seed and settings, other weights
    assert hybrid.start.settings.env.vocab_size == 64
    assert hybrid.start.training.cpu_seconds > 0
    assert alone.start is None
    assert str(folder) not in hybrid.model_dump_json()


def test_a_run_that_was_cut_off_begins_with_its_start_again(folder):
    runs = folder / "runs"
    assert {path.name for path in runs.iterdir()} == {
        "large-hybrid", "large-hybrid-start", "large-alone", "small-masks",
    }  # fmt: skip
    assert not list(runs.glob("*/half"))


def test_a_run_with_another_start_than_declared_is_left_out(folder):
    with declared(CASES[0]._replace(start=merge_layers(SMALL, {"ppo": {"gamma": 0.25}})), *CASES[1:]):
        (reason,) = read_rows_if_any("brief", folder).refused.values()
    assert "large/hybrid has start.env.discount=0.25 today, this run had 0.8" in reason
    with declared(CASES[0]._replace(start=None), *CASES[1:]):
        (reason,) = read_rows_if_any("brief", folder).refused.values()
    assert "large/hybrid has start.run=None today, this run had 'tiny'" in reason


def test_an_agent_trained_with_masks_is_measured_without_them_too(folder, rows):
    _, alone, masked = rows
    assert alone.without_masks is None
    free = masked.without_masks
    assert free.problems == 20
    assert free.mean_fluency_penalty > masked.held_out["agent (greedy)"].mean_fluency_penalty == 0.0


def test_a_row_has_the_scores_of_the_policy_before_its_training(rows):
    hybrid, alone, masked = rows
    assert hybrid.untrained == alone.untrained  # the same seed and settings; not the weights it started with
    for row in (alone, masked):
        for how, figures in row.untrained.items():
            assert figures.problems == 20
            assert figures.mean_return != row.held_out[how].mean_return


def test_no_more_seeds_are_made_than_the_case_allows(tmp_path, submitted):
    with declared(*CASES):
        run_benchmark("brief", tmp_path, tmp_path / "runs", seeds=2)
    assert submitted == [
        "large/hybrid seed 0", "large/alone seed 0", "small/masks seed 0", "large/hybrid seed 1", "small/masks seed 1",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def one_bend(tmp_path_factory):
    """A folder with a run of a tied head that has one bend."""
    folder = tmp_path_factory.mktemp("one-bend")
    with declared(ONE_BEND):
        assert measure("brief", ONE_BEND.name, 0, folder, folder / "run")
    return folder


def test_a_case_trains_with_constants_of_its_own_and_its_row_tells_what_was_learned(one_bend):
    with declared(ONE_BEND):
        (row,) = read_rows("brief", one_bend).accepted
    (place,) = row.head.places
    assert place != 3.0
    assert abs(place - 3.0) < 1.0
    assert row.head.constants.bends == (3.0,)
    assert row.head.constants.value_scale == 0.0
    assert row.head.constants.knots == tied_head.KNOTS
    assert len(row.head.emphasis) == len(tied_head.KNOTS)
    assert len(tied_head.BENDS) > 1  # restored


def test_a_row_of_other_constants_than_declared_is_left_out(one_bend):
    with declared(ONE_BEND._replace(constants={"BENDS": (4.0,), "VALUE_SCALE": 0.0})):
        (reason,) = read_rows_if_any("brief", one_bend).refused.values()
    assert "bends=(4.0,)" in reason
    assert "bends=(3.0,)" in reason


def test_a_row_of_a_tied_head_tells_its_validations_and_what_a_plan_at_evaluation_adds(one_bend, rows):
    with declared(ONE_BEND):
        (row,) = read_rows("brief", one_bend).accepted
    assert [validation.episodes for validation in row.validations] == [40, 80]
    assert row.planned.problems == 20
    assert row.planned.mean_return != row.held_out["agent (greedy)"].mean_return
    assert [other.planned for other in rows] == [None] * 3  # trained with a plan, or without a tied head
    assert [other.validations for other in rows] == [()] * 3
    assert rows[2].head is None


DIVERGING = {"ppo": {"n_envs": 4, "batch_size": 32, "learning_rate": 1e20, "max_grad_norm": 1e9}}


@pytest.mark.parametrize("head", ["stock", "tied"])
def test_a_training_that_diverges_has_a_row_without_evaluation_of_its_agent(head, tmp_path):
    case = Case("small", "diverging", merge_layers(SMALL, {**DIVERGING, "policy": {"head": head}}))
    with declared(case):
        measure("brief", case.name, 3, tmp_path, tmp_path / "run")
        (row,) = read_rows("brief", tmp_path).accepted
    assert row.diverged == len(row.returns) == 4
    assert set(row.held_out) == {"random", "fluent", "verbatim", "greedy", "lookahead", "optimal"}
    assert row.held_out["greedy"].problems == 20
    assert (row.losses, row.rollout_tokens, row.training_problems, row.head, row.planned) == ((), (), None, None, None)
    assert row.policy_bytes > 0
    assert row.training.cpu_seconds > 0


def test_a_start_that_diverges_leaves_no_row(tmp_path):
    case = Case("large", "hybrid", LARGE, start=merge_layers(SMALL, DIVERGING))
    with declared(case), pytest.raises(DivergedError):
        measure("brief", case.name, 0, tmp_path, tmp_path / "run")
    assert not list(tmp_path.glob("*.jsonl"))


def test_a_row_tells_the_load_of_the_machine_and_its_kernels(rows):
    for row in rows:
        assert row.training.load_at_start >= 0
        assert row.training.load_at_end >= 0
        assert row.machine.torch_kernels


def test_a_larger_vocabulary_is_also_tested_on_the_messages_of_fast(tmp_path):
    env = {"env": {"vocab_size": 1200, "max_steps": 8}}
    large = Case("large", "brief", merge_layers(LARGE, {**env, "episodes": 8, "ppo": {"n_envs": 4, "batch_size": 32}}))
    with declared(large, CASES[1]):
        row = measure("brief", large.name, 0, tmp_path, tmp_path / "run")
    agent, task = agents.load(tmp_path / "run"), Task(vocab_size=1000, max_steps=30, split="test", lookahead=1)
    cut = evaluate(Player(agent, ranks=1000), range(20), task=task)
    assert row.on_fast_messages.mean_return == pytest.approx(cut.returns.mean(), abs=1e-5)
    assert row.on_fast_messages.problems == 20
    assert row.on_fast_messages.mean_return != row.held_out["agent (greedy)"].mean_return


def test_rows_have_the_scores_on_validation_problems(rows):
    for row in rows:
        agent = row.on_validation["agent (greedy)"]
        assert (agent.problems, row.on_fast_messages) == (200, None)
        assert agent.mean_return != row.held_out["agent (greedy)"].mean_return
