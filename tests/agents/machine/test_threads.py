import os

import pytest
import torch

from agents.machine.matmul import FLOAT32, choose_products
from agents.machine.threads import VARIABLE, thread_count


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_a_training_computes_on_one_thread_and_leaves_torch_as_it_was(two_threads, monkeypatch):
    monkeypatch.delitem(os.environ, VARIABLE)
    with choose_products("auto", FLOAT32, "cpu").in_use():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2


def test_the_variable_chooses_another_number(two_threads, monkeypatch):
    monkeypatch.setitem(os.environ, VARIABLE, "2")
    with choose_products("auto", FLOAT32, "cpu").in_use():
        assert torch.get_num_threads() == thread_count() == 2
