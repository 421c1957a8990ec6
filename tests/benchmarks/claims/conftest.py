import pytest

from tests.support.benchmarks.claim_runs import make_up_optima


@pytest.fixture(autouse=True)
def made_up_optima(monkeypatch):
    make_up_optima(monkeypatch)
