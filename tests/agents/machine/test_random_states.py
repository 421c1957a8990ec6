"""The states of all generators can be kept, stored and restored."""

import json
import random

import numpy as np
import torch

from agents.machine.random_states import generator_states, preserved_generators, set_generators
from tests.support.resuming import spoil_generators


def draw():
    """A number of every generator; of python's and numpy's such as come in pairs, of which one is kept."""
    return random.gauss(0, 1), np.random.standard_normal(), float(torch.rand(()))  # noqa: NPY002


def test_a_generators_state_survives_json():
    draw()
    states = json.loads(json.dumps(generator_states("cpu")))
    drawn = [draw() for _ in range(3)]
    spoil_generators()
    set_generators(states, "cpu")
    assert [draw() for _ in range(3)] == drawn


def test_generators_are_as_before_after_what_preserves_them():
    states = generator_states("cpu")
    with preserved_generators("cpu"):
        spoil_generators()
        assert generator_states("cpu") != states
    assert generator_states("cpu") == states
