from importlib.metadata import version

import pytest

from agents.diagnosis import products
from agents.diagnosis.advice import derive_advice
from agents.diagnosis.machine_report import examine
from agents.diagnosis.products import measure_multiplications
from agents.machine.matmul import Cpu

ZEN = Cpu("AuthenticAMD", frozenset({"avx512f", "avx512_bf16"}))


@pytest.fixture
def found(monkeypatch):
    """A machine with oneDNN and bf16, examined with small products."""
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: ZEN)
    for name in ("ROWS", "INNER", "COLUMNS"):
        monkeypatch.setattr(products, name, 64)
    return examine(["tiny"])


def way(library, precision, gflops, used=False):
    return {"device": "cpu", "library": library, "precision": precision, "used": used, "gflops": gflops, "error": 1e-6}


def told(found, *ways, **changes):
    return "\n".join(
        derive_advice(found | {"multiplications": ways or [way("default", "float32", 100.0, used=True)]} | changes)
    )


def test_every_way_to_multiply_is_measured_in_speed_and_error(found):
    ways = [(path["library"], path["precision"], path["used"]) for path in found["multiplications"]]
    assert ways == [("default", "float32", False), ("onednn", "float32", True), ("onednn", "bf16", False)]
    for path in found["multiplications"]:
        assert path["gflops"] > 0
        assert path["error"] < (1e-5 if path["precision"] == "float32" else 1e-2)
    assert found["multiplications"][2]["error"] > 1e-4


def test_what_cannot_be_used_is_named_and_not_measured(monkeypatch):
    monkeypatch.setattr("agents.machine.matmul.this_cpu", lambda: Cpu("GenuineIntel", frozenset()))
    default, onednn, bf16 = measure_multiplications()
    assert default.used
    assert (onednn.gflops, bf16.gflops) == (None, None)
    assert "AVX-512 only" in onednn.why_not
    assert "no bf16 instructions" in bf16.why_not


def test_sizes_versions_and_devices_are_told(found):
    assert found["training"]["tiny"]["steps_per_second"] > 0
    assert found["training"]["tiny"]["peak_memory_mb"] > 100
    assert found["versions"]["torch"] == version("torch")
    assert found["devices"]["cpu"] == "can be used"


def test_the_faster_way_to_multiply_is_advised(found):
    used = way("default", "float32", 100.0, used=True)
    assert "type --set matmul=onednn" in told(found, used, way("onednn", "float32", 200.0))
    assert "matmul=" not in told(found, used, way("onednn", "float32", 101.0))
    assert "2.0 times as fast: type --precision bf16" in told(found, used, way("onednn", "bf16", 200.0))
    assert "leave --precision out" in told(found, used, way("onednn", "bf16", 50.0))


def test_threads_memory_and_other_work_are_pointed_out(found):
    machine = found["machine"] | {"threads": 8, "memory_mb": 900}
    busy = {"tiny": found["training"]["tiny"] | {"busy": 0.3}}
    for sentence in ("Torch uses 8 threads", "900 MB of memory may be too little", "Other work runs"):
        assert sentence in told(found, machine=machine, training=busy)
    quiet = {"tiny": busy["tiny"] | {"busy": 0.95}}
    machine |= {"threads": 1, "memory_mb": 8_000}
    assert told(found, machine=machine, training=quiet).count("\n") == 0


def test_other_devices_are_named_with_what_is_wrong_with_them(found):
    devices = {"mps": "present, but fails to compute", "cuda": "not present", "cpu": "can be used"}
    expected = "Training runs on cpu (mps: present, but fails to compute, cuda: not present)."
    assert told(found, devices=devices).startswith(expected)
