"""Tests. Each process computes on one thread: two workers with two threads each would wait for one another."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
