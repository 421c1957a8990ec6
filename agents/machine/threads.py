"""Choose the number of threads on which torch computes during a training."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

VARIABLE = "OMP_NUM_THREADS"  # torch obeys it when it is imported


def thread_count() -> int:
    """Return the number of threads of a training: the one in OMP_NUM_THREADS, and 1 if it is not set.

    The operators of a training are too small to gain from more, wait for each other when other programs use the cores,
    and round differently on each number of threads.
    """
    return torch.get_num_threads() if VARIABLE in os.environ else 1


@contextmanager
def threads_in_use(count: int) -> Iterator[None]:
    """Let torch compute on this many threads inside the context."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
