"""A run that nothing disturbed, and one that was killed."""

import shutil
from pathlib import Path

import pytest

from agents.training.fit import fit
from tests.support.resuming import fit_until
from tests.support.settings import short_settings


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """A short run of PPO that nothing disturbed."""
    return fit(short_settings(), tmp_path_factory.mktemp("whole") / "run", progress=False).run


@pytest.fixture(scope="session")
def killed_run(tmp_path_factory):
    """The same, killed in the middle of its fifth rollout."""
    return fit_until(8 * 8 * 4 + 8 * 3, short_settings(), tmp_path_factory.mktemp("killed") / "run")


@pytest.fixture
def killed(killed_run, tmp_path):
    """A copy of it."""
    return Path(shutil.copytree(killed_run, tmp_path / "run"))
