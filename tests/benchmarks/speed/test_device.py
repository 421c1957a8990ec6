import pytest
import torch

from agents.machine.threads import threads_in_use
from agents.settings.layers import make_settings, preset_layer
from benchmarks.speed import device
from benchmarks.speed.device import Operators, Training, Variant, speed_tables


def test_operators_and_waits_are_counted_but_not_views():
    with Operators() as operators:
        ones = torch.ones(3)
        (ones.view(3, 1)[0] + 1).sum().item()
    assert (operators.calls, operators.waits) == (4, 1)  # ones, +, sum and item


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(device, "SECONDS", 0.01)
    layer = {"ppo": {"n_envs": 8, "batch_size": 32, "n_epochs": 1}}
    return make_settings(preset_layer("tiny"), layer)


def test_rollouts_on_the_device_do_not_wait_and_those_on_the_host_ask_for_less(tiny):
    ours, theirs = (Training(tiny, Variant("cpu", rollouts=rollouts)) for rollouts in ("device", "host"))
    rates = ours.measure()
    assert rates.rollouts > rates.training > 0
    assert ours.count().waits_per_rollout == 0 < ours.count().waits_per_minibatch
    assert ours.count().per_step > theirs.count().per_step > 10  # NumPy's rules and buffer are not torch's


def test_every_way_gets_a_row_and_one_that_cannot_be_compiled_says_why(tiny, monkeypatch):
    def without_compiler(*_, **__):
        raise RuntimeError("no compiler")

    monkeypatch.setattr(torch, "compile", without_compiler)
    monkeypatch.setattr(device, "preset_layer", lambda size: tiny.to_dict())
    monkeypatch.setattr(device, "many_rows", lambda name: tiny)
    with threads_in_use(2):
        tables = speed_tables(1).renderables[:-1]
    assert len(tables) == 3
    for table in tables:
        cells = [list(column.cells) for column in table.columns]
        rows = list(zip(*cells, strict=True))
        assert [row[:4] for row in rows[:1]] == [("cpu", "1", "device", "yes")]  # refused before the others are timed
        assert "no compiler" in rows[0][4]
        assert [row[:4] for row in rows[1:]] == [
            ("cpu", "1", "host", "no"),
            ("cpu", "1", "device", "no"),
            ("cpu", "2", "device", "no"),
        ]
