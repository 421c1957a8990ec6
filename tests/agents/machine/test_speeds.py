import pytest

from agents.machine.speeds import TrainingSpeed, faster_device, record_speeds
from token_env.optimum.cache import FOLDER_VARIABLE


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    return tmp_path


def remembered(*rates):
    return [
        TrainingSpeed("fast", device, "float32", 1, rate, 1.0, 1.0, 500.0)
        for device, rate in zip(("cuda", "cpu"), rates, strict=True)
    ]


def test_a_training_is_told_of_a_device_that_was_faster(cache):
    assert faster_device("fast", "cuda") == ""  # nothing was measured yet
    record_speeds(remembered(100.0, 150.0))
    assert "fast trains 1.5 times as fast on cpu: type --device cpu." in faster_device("fast", "cuda")
    assert faster_device("fast", "cpu") == faster_device("stable", "cuda") == faster_device("fast", "mps") == ""
    record_speeds(remembered(100.0, 110.0))
    assert faster_device("fast", "cuda") == ""


@pytest.mark.parametrize("change", ["another processor", "damage", "no folder"])
def test_what_was_measured_elsewhere_or_is_damaged_does_not_count(change, cache, monkeypatch):
    record_speeds(remembered(100.0, 150.0))
    assert faster_device("fast", "cuda")
    (record,) = cache.glob("speeds-*.json")
    if change == "another processor":
        monkeypatch.setattr("agents.machine.speeds.processor", lambda: "another")
    elif change == "damage":
        record.write_text('{"speeds": [1]}')
    else:
        record.unlink()
        monkeypatch.setenv(FOLDER_VARIABLE, str(cache / "speeds" / "deep"))
        (cache / "speeds").write_text("a file")
        record_speeds(remembered(100.0, 150.0))
    assert faster_device("fast", "cuda") == ""
