"""What trainings ask of torch, against the MPS kernels that this version of torch lists: all a machine without mps can.

It shows that nothing is missing, and that no float64 is asked for. It does not show that the kernels are right.
"""

from functools import cache

import pytest
import torch
from packaging.version import Version

from agents.algorithms.table import ALGORITHMS
from agents.policies import categorical
from tests.support.devices.mps_kernels import HEADS, kernels, lacking, recorded, short_model

pytestmark = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.13"), reason="older torch is not for Macs, where 2.14 is required"
)
TRAININGS = [(algorithm, head) for algorithm in ALGORITHMS for head in HEADS]


@pytest.fixture(autouse=True)
def as_on_mps(monkeypatch):
    """Samples are drawn as where there is no float64."""
    monkeypatch.setattr(categorical, "WITHOUT_FLOAT64", ("cpu",))


@cache
def asked(algorithm, head):
    model = short_model(algorithm, head, "cpu")
    return recorded(lambda: model.learn(32))


@pytest.mark.parametrize(("algorithm", "head"), TRAININGS)
def test_every_operator_of_a_training_has_an_mps_kernel(algorithm, head):
    types, inside = asked(algorithm, head)
    assert lacking(types) == set()
    assert lacking(inside) == set()


@pytest.mark.parametrize(("algorithm", "head"), TRAININGS)
def test_no_training_asks_for_float64(algorithm, head):
    types, _ = asked(algorithm, head)
    seen = set().union(*types.values())
    assert seen <= {torch.float32, torch.int64, torch.int32, torch.bool, torch.uint8}


@pytest.mark.parametrize(("algorithm", "head"), TRAININGS)
def test_draw_gradient_and_step_are_all_among_what_was_recorded(algorithm, head):
    """The control of the two above: a recorder that sees nothing finds nothing missing."""
    types, inside = asked(algorithm, head)
    names = {name.rpartition(".")[0] for name in types}
    assert len(names) > 40
    assert ("aten::multinomial" if head == "stock" else "aten::exponential_") in names
    assert {"aten::addmm", "aten::mm"} & names
    assert any(name.endswith("_backward") for name in names)
    assert {"aten::_foreach_addcdiv_", "aten::_fused_adam_", "aten::addcdiv_"} & names
    assert {"aten::empty", "aten::transpose"} <= inside  # which only the profiler sees
    assert {"aten::linear", "aten::matmul"} & inside


@pytest.mark.parametrize(
    ("action", "missing"),
    [
        (lambda: torch.geqrf(torch.eye(3)), "geqrf"),
        (lambda: torch.linalg.eigvals(torch.eye(3)), "linalg_eig"),
    ],
)
def test_an_operator_without_a_kernel_is_found(action, missing):
    types, inside = recorded(action)
    assert any(missing in name for name in lacking(types))
    assert any(missing in name for name in lacking(inside))


def test_float64_is_seen_where_there_is_some():
    types, _ = recorded(lambda: categorical.sample(torch.zeros(2, 3).double()))
    assert torch.float64 in set().union(*types.values())


def test_the_list_is_torchs_own_and_knows_what_mps_has_and_has_not():
    assert len(kernels()) > 2000
    able = ["aten::addmm", "aten::mm", "aten::_lstm_mps", "aten::_fused_adam_", "aten::exponential_", "aten::reshape"]
    assert lacking(able) == set()
    unable = {"aten::_linalg_eigh.eigenvalues", "aten::_thnn_fused_lstm_cell", "aten::nothing_of_that_name"}
    assert lacking(unable) == unable
