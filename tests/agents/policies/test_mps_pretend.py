"""Trainings on a pretended device that refuses float64, tensors of two devices in one operator, and `.numpy()`."""

import json
import subprocess
import sys

import pytest
import torch
from packaging.version import Version

from agents.algorithms.table import ALGORITHMS
from agents.diagnosis.device_check import DEFAULT_TOLERANCE, TOLERANCE
from tests.support.devices.mps_kernels import HEADS, lacking

pytestmark = pytest.mark.skipif(
    Version(torch.__version__) < Version("2.13"), reason="older torch cannot pretend a whole device in Python"
)
TRAININGS = [f"{algorithm}/{head}" for algorithm in ALGORITHMS for head in HEADS]


@pytest.fixture(scope="module")
def told():
    command = [sys.executable, "-W", "ignore", "-m", "tests.support.devices.pretend_device"]
    out = subprocess.run(command, capture_output=True, text=True)
    assert out.returncode == 0, out.stderr[-4000:]
    return json.loads(out.stdout)


@pytest.mark.parametrize("training", TRAININGS)
def test_a_training_on_the_device_gives_the_weights_of_one_on_the_cpu(told, training):
    found = told["trained"][training]
    assert found["moved"] > 1e-3  # or it was not trained
    allowed = TOLERANCE.get(
        training.partition("/")[0], DEFAULT_TOLERANCE
    )  # rewards and our heads round otherwise there
    assert found["gap"] <= allowed * found["moved"]


@pytest.mark.parametrize("training", TRAININGS)
def test_what_the_device_was_asked_for_mps_can_compute(told, training):
    operators = told["trained"][training]["operators"]
    assert sum(operators.values()) > 500
    assert lacking(operators) == set()


@pytest.mark.parametrize("training", TRAININGS)
def test_the_host_waits_for_the_device_between_rollouts_alone(told, training):
    found = told["trained"][training]
    assert 16 < found["waits"] < 40 * 16  # two rollouts of 8 steps and their updates
    if training.startswith("recurrent"):
        assert found["playing"] == []  # sb3-contrib's own rollouts
    elif training.endswith("planning"):
        assert found["playing"] == [0, 0]


def test_a_policy_that_waits_is_noticed(told):
    """The control of the test above."""
    assert told["waiting"] == [8]  # once a step


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        ("float64_samples", "no torch.float64"),
        ("float64_rules", "no torch.float64"),
        ("constants_left_behind", "of pretend and of the cpu"),
        ("parameters_left_behind", "of pretend and of the cpu"),
        ("answers_not_fetched", "numpy"),
    ],
)
def test_a_mistake_is_refused(told, mistake, message):
    """The control of all above: a device that refuses nothing shows nothing."""
    assert message in told["refused"][mistake]
