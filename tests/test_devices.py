import pytest
import torch

from agents.devices import _computes, available_devices, device_memory_mb, device_states, device_use, resolve_device
from token_env import SettingError


@pytest.fixture
def machine(monkeypatch):
    def pretend(mps, cuda):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr("agents.devices._computes", lambda device: True)

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
        ("mps", "no device 'mps'; it has cuda, cpu"),
        ("cuda:2", "no device"),
        ("gpu", "Known: auto"),
        ("cuda:x", "Known"),
    ],
)
def test_a_device_that_is_not_there_is_refused_with_those_that_are(machine, name, message):
    machine(False, 2)
    with pytest.raises(SettingError, match=message):
        resolve_device(name)


def test_a_device_that_cannot_compute_is_not_chosen(machine, monkeypatch):
    machine(True, 1)
    monkeypatch.setattr("agents.devices._computes", lambda device: device != "mps")
    assert available_devices() == ["cuda", "cpu"]


def test_what_is_wrong_with_a_device_is_told(machine, monkeypatch):
    machine(True, 0)
    monkeypatch.setattr("agents.devices._computes", lambda device: False)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    states = {"mps": "is there, but cannot compute", "cuda": "this torch is built without it", "cpu": "can be used"}
    assert device_states() == states
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    assert device_states()["cuda"] == "there is none"


def test_the_probe_computes():
    assert _computes("cpu")
    assert not _computes("cuda:77")


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
