import sys

import pytest
import torch

from agents.machine import devices
from agents.machine.devices import available_devices, device_reason, device_states, resolve_device, smoke_test_failure
from agents.machine.usage import device_memory_mb, device_use
from token_env import SettingError


@pytest.fixture
def machine(monkeypatch):
    def pretend(mps, cuda, failures=None):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_built", lambda: True)
        monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
        monkeypatch.setattr(devices, "smoke_test_failure", lambda device: (failures or {}).get(device, ""))

    return pretend


@pytest.mark.parametrize(
    ("mps", "cuda", "chosen"), [(True, 1, "mps"), (True, 0, "mps"), (False, 1, "cuda"), (False, 0, "cpu")]
)
def test_auto_prefers_mps_then_cuda_then_cpu(machine, mps, cuda, chosen):
    machine(mps, cuda)
    assert resolve_device("auto") == chosen
    assert available_devices()[-1] == "cpu"


def test_a_device_that_is_there_is_taken_by_name(machine):
    machine(False, 2)
    assert resolve_device("cuda:1") == "cuda:1"
    assert resolve_device("cpu") == "cpu"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mps", r"^device 'mps' cannot be used: not present. This machine has cuda, cpu; type --device auto.$"),
        ("cuda:2", "not present"),
        ("gpu", "Known: auto"),
        ("cuda:x", "Known"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, name, message):
    machine(False, 2)
    with pytest.raises(SettingError, match=message):
        resolve_device(name)


def test_a_device_that_cannot_compute_is_not_chosen_and_refused_by_name(machine):
    machine(True, 2, {"mps": "out of memory", "cuda:1": "no answer"})
    assert available_devices() == ["cuda", "cpu"]
    assert resolve_device("auto") == "cuda"
    with pytest.raises(SettingError, match="'mps' cannot be used: present, but fails to compute: out of memory"):
        resolve_device("mps")
    with pytest.raises(SettingError, match="'cuda:1' cannot be used"):
        resolve_device("cuda:1")


def test_what_is_wrong_with_a_device_is_told(machine, monkeypatch):
    machine(True, 0, {"mps": "out of memory"})
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    states = {
        "mps": "present, but fails to compute: out of memory",
        "cuda": "this build of torch does not support it",
        "cpu": "can be used",
    }
    assert device_states() == states
    assert device_reason("auto") == ", ".join(f"{kind}: {states[kind]}" for kind in ("mps", "cuda"))
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    assert device_states()["cuda"] == "not present"


def test_why_a_device_is_taken_is_told(machine):
    machine(True, 1)
    assert device_reason("auto") == "preferred device, usable"
    assert device_reason("cuda") == "as asked"
    machine(False, 1)
    assert device_reason("auto") == "mps: not present"


def test_devices_that_are_not_asked_for_are_not_tried(machine, monkeypatch):
    machine(True, 2)
    tried = []
    monkeypatch.setattr(devices, "smoke_test_failure", lambda device: tried.append(device) or "")
    for name, expected in (("cpu", []), ("cuda:1", ["cuda:1"]), ("auto", ["mps"])):
        resolve_device(name)
        assert tried == expected
        tried.clear()


def test_a_trial_is_a_process_that_computes():
    assert smoke_test_failure("cpu") == ""


def test_a_trial_fails_on_a_device_that_is_not_there(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["-c", "cuda:77"])
    with pytest.raises((AssertionError, RuntimeError)):
        exec(devices.SMOKE_TEST, {})
    monkeypatch.setattr(devices, "SMOKE_TEST", "import sys; sys.exit(f'{sys.argv[1]} is not there')")
    assert smoke_test_failure("cuda:77") == "exit code 1, cuda:77 is not there"


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("import time; time.sleep(60)", "no answer within 0.5 seconds"),
        ("import os; os.abort()", r"exit code -6, no message"),
        ("raise SystemExit('out of memory')", "exit code 1, out of memory"),
    ],
)
def test_a_trial_that_hangs_dies_or_fails_is_told_and_ends(monkeypatch, program, told):
    monkeypatch.setattr(devices, "SMOKE_TEST", program)
    monkeypatch.setattr(devices, "SMOKE_TEST_SECONDS", 0.5 if "sleep" in program else 60.0)
    assert smoke_test_failure.__wrapped__("cpu") == told


def test_what_a_device_is_used_is_read_where_it_can_be(monkeypatch):
    monkeypatch.setattr(torch.cuda, "utilization", lambda device: 73)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 250_000_000)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 80_000_000)
    assert (device_use("cuda:1"), device_use("cpu"), device_use("mps")) == (73.0, None, None)
    assert (device_memory_mb("cuda"), device_memory_mb("mps"), device_memory_mb("cpu")) == (250.0, 80.0, None)


def test_without_nvidias_library_the_use_of_a_gpu_is_not_known(monkeypatch):
    def missing(device):
        raise ModuleNotFoundError("pynvml")

    monkeypatch.setattr(torch.cuda, "utilization", missing)
    assert device_use("cuda") is None
