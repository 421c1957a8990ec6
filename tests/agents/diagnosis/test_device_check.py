"""The checks that `agents.doctor --device` makes: the CPU passes them, and what is wrong fails them."""

import json
import sys
from importlib.metadata import version

import pytest
import torch

from agents.cli.console import WRONG_INPUT, run_command
from agents.diagnosis import device_check
from agents.diagnosis.device_check import check_draws, check_memory, check_update, growth_per_update
from agents.doctor import CHECK_FAILED, doctor


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(device_check, "BATCHES", 5)
    monkeypatch.setattr(device_check, "UPDATES", 6)
    monkeypatch.setattr(device_check, "ALGORITHMS", ("ppo",))


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def command(words):
        monkeypatch.setattr(sys, "argv", ["doctor", *words.split()])
        with pytest.raises(SystemExit) as end:
            run_command(doctor)
        return end.value.code, *capsys.readouterr()

    return command


@pytest.mark.parametrize("algorithm", ["a2c", "grpo", "maskable-ppo", "ppo", "recurrent-ppo", "trpo"])
def test_the_cpu_makes_the_update_that_the_cpu_makes(algorithm):
    check = check_update("cpu", algorithm, "tied")
    assert check.passed
    assert check.found["largest_change"] > 1e-4


def test_an_update_that_is_another_fails(monkeypatch):
    model, made = device_check.build_small_model, []

    def wrong(*arguments):
        made.append(model(*arguments))
        if len(made) == 2:  # the one on the device
            forward = made[1].policy.evaluate_actions
            made[1].policy.evaluate_actions = lambda *given: tuple(1.3 * part for part in forward(*given))
        return made[-1]

    monkeypatch.setattr(device_check, "build_small_model", wrong)
    assert not check_update("cpu", "ppo", "fast").passed


def test_an_update_that_changes_nothing_fails(monkeypatch):
    monkeypatch.setattr(device_check.OnPolicyAlgorithm, "learn", lambda *arguments, **keywords: None)
    assert not check_update("cpu", "ppo", "fast").passed


@pytest.mark.parametrize("token", [-1, device_check.TOKENS, 2**40])
def test_draws_out_of_range_are_counted(monkeypatch, token):
    monkeypatch.setattr("agents.policies.categorical.sample", lambda logits: torch.full((len(logits),), token))
    check = check_draws("cpu")
    assert not check.passed
    assert (check.found["illegal_by_torch"], check.found["illegal_by_ours"]) == (0, 5 * device_check.ROWS)


def test_masked_draws_are_counted(monkeypatch):
    assert check_draws("cpu").passed
    monkeypatch.setattr("agents.policies.categorical.sample", lambda logits: logits.argmin(dim=1))
    assert check_draws("cpu").found["illegal_by_ours"] == 5 * device_check.ROWS


def test_memory_that_grows_fails(monkeypatch):
    assert check_memory("cpu", "ppo").passed
    held = iter(range(0, 1000, 7))
    monkeypatch.setattr(device_check, "device_memory_mb", lambda device: float(next(held)))
    check = check_memory("cpu", "ppo")
    assert not check.passed
    assert check.found["device_mb_an_update"] == pytest.approx(7)


def test_only_the_second_half_counts_as_growth():
    assert growth_per_update([0, 100, 200, 300, 300, 300, 300, 300]) == pytest.approx(0, abs=1e-9)
    assert growth_per_update([0, 0, 0, 0, 2, 4, 6, 8]) == pytest.approx(2)


def test_the_report_tells_what_was_found_and_with_what(command, tmp_path):
    code, out, error = command("--device cpu")
    assert (code, error) == (0, "")
    found = json.loads((tmp_path / "device_check.json").read_text())
    assert found["passed"]
    assert found["device"] == "cpu"
    assert found["made_with"]["versions"]["torch"] == version("torch")
    assert len(found["checks"]) == 7
    assert "draws that are masked or out of range" in out
    assert "passed; saved to device_check.json" in out


def test_a_failed_check_is_an_exit_code(command, monkeypatch):
    monkeypatch.setattr("agents.policies.categorical.sample", lambda logits: logits.argmin(dim=1))
    code, out, _ = command("--device cpu --json report.json")
    assert code == CHECK_FAILED
    assert "FAILED; saved to report.json" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--device gpu", "unknown device 'gpu'"),
        ("--device cuda:77", "cannot be used"),
        ("--device cpu --size tiny", "leave out --size or --device"),
        ("--device cpu --json none/x.json", "there is no directory 'none'"),
    ],
)
def test_what_cannot_be_checked_is_refused_before_anything_is_computed(command, monkeypatch, words, message):
    monkeypatch.setattr("agents.doctor.check_device", lambda device: pytest.fail("it was checked"))
    code, _, error = command(words)
    assert code == WRONG_INPUT
    assert message in error
