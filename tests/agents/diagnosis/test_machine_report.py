from importlib.metadata import version

import pytest

from agents.diagnosis import products
from agents.diagnosis.advice import derive_advice
from agents.diagnosis.machine_report import examine
from agents.diagnosis.products import measure_multiplications
from agents.machine.matmul import Cpu
from agents.machine.speeds import TrainingSpeed
from agents.machine.threads import VARIABLE

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
    assert [(speed["device"], speed["precision"]) for speed in found["training"]] == [
        ("cpu", "float32"),
        ("cpu", "bf16"),
    ]
    for speed in found["training"]:
        assert speed["size"] == "tiny"
        assert speed["steps_per_second"] > 0
        assert speed["peak_memory_mb"] > 100
    assert found["versions"]["torch"] == version("torch")
    assert found["devices"]["cpu"] == "can be used"


def test_the_faster_way_to_multiply_is_advised(found):
    used = way("default", "float32", 100.0, used=True)
    assert "type --set matmul=onednn" in told(found, used, way("onednn", "float32", 200.0))
    assert "matmul=" not in told(found, used, way("onednn", "float32", 101.0))


def speeds(*rates, size="tiny", busy=1.0):
    """The speeds of a size: of the default, cuda in bf16, and two threads."""
    ways = [("cpu", "float32", 1), ("cuda", "bf16", 1), ("cpu", "float32", 2)]
    return [TrainingSpeed(size, *way, rate, 1.0, busy, 500.0)._asdict() for way, rate in zip(ways, rates, strict=True)]


def test_the_fastest_way_to_train_is_advised(found, monkeypatch):
    monkeypatch.setenv(VARIABLE, "1")
    assert "trains clearly faster" in told(found, training=speeds(100.0, 110.0, 90.0))
    training = [*speeds(100.0, 200.0, 90.0), *speeds(100.0, 100.0, 120.0, size="fast")]
    text = told(found, training=training)
    assert "With --device cuda, --precision bf16, tiny trains 2.0 times as fast." in text
    assert "With --device cpu, OMP_NUM_THREADS=2 before the command, fast trains 1.2 times as fast." in text


def test_memory_and_other_work_are_pointed_out(found):
    small, large = (found["machine"] | {"memory_mb": memory} for memory in (900, 8_000))
    text = told(found, machine=small, training=speeds(1.0, 1.0, 1.0, busy=0.3))
    assert "900 MB of memory may be too little" in text
    assert "Other work runs" in text
    assert told(found, machine=large, training=speeds(1.0, 1.0, 1.0)).count("\n") == 1


def test_other_devices_are_named_with_what_is_wrong_with_them(found):
    devices = {"mps": "present, but fails to compute", "cuda": "not present", "cpu": "can be used"}
    expected = "Training runs on cpu (mps: present, but fails to compute, cuda: not present)."
    assert told(found, devices=devices).startswith(expected)
