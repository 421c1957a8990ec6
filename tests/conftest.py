"""Fixtures that many tests share."""

import multiprocessing
import os
import sys
from collections import Counter

import numpy as np
import pytest
from hypothesis import settings

from tests.support.servers import postgres
from tests.support.text import TEXT
from token_env import Language
from token_env.languages.language import from_arrays
from token_env.optimum.cache import FOLDER_VARIABLE

os.environ.setdefault("MPLBACKEND", "Agg")
# Whichever test starts the fork server of this process starts it with these, so that trials need not import them anew.
multiprocessing.set_forkserver_preload(["agents.tuning.trial_worker", "torch._dynamo"])
settings.register_profile("tests", deadline=None, max_examples=25, print_blob=True)
settings.load_profile("tests")


def pytest_terminal_summary(terminalreporter):
    """Each reason why tests were skipped, with their number, and so what is to be installed for them."""
    skipped = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    for reason, count in sorted(skipped.items()):
        terminalreporter.write_line(f"skipped {count}: {reason.removeprefix('Skipped: ')}")


@pytest.fixture(autouse=True, scope="session")
def own_cache(tmp_path_factory):
    """Optima are solved anew, once for all workers, and the user's own are left alone, also by commands."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if os.environ.get("PYTEST_XDIST_WORKER") else folder
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder / "cache"))
        yield


@pytest.fixture(autouse=True)
def same_threads():
    """A test that left torch on other threads would change what the tests after it compute."""
    yield
    if torch := sys.modules.get("torch"):
        assert torch.get_num_threads() == int(os.environ["OMP_NUM_THREADS"])


@pytest.fixture
def small_language() -> Language:
    """Three tokens in two dimensions, whose numbers can be worked out by hand."""
    return from_arrays(
        log_unigram=np.log([0.5, 0.3, 0.2]),
        context=[[1.0, 0.0], [0.0, 6.0], [1.0, 1.0]],
        output=[[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]],
        surface=["zero", "one", "two"],
    )


@pytest.fixture
def text_file(tmp_path):
    """A short text in a file."""
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run a command line in an empty directory: exit code, standard output, standard error."""
    from tests.support.commands import run_line  # which imports torch, as not every test does

    monkeypatch.chdir(tmp_path)
    return lambda line: run_line(line, monkeypatch, capsys)


@pytest.fixture
def type_page(monkeypatch, tmp_path, capsys):
    """Type the lines of a page in an empty directory: the lines and what they print."""
    from tests.support.typed_page import type_page

    return lambda text, options: type_page(text, options, tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def postgres_url():
    """A database of the tests' own; without PostgreSQL they are skipped."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.server() as url:
        yield url


@pytest.fixture(params=["journal", "postgresql", "grpc"])
def storage_url(request, tmp_path):
    """A storage of studies of each kind."""
    if request.param == "journal":
        yield f"journal:{tmp_path}/x.journal"
        return
    database = request.getfixturevalue("postgres_url")
    if request.param == "postgresql":
        yield database.replace("postgresql:", "postgresql+psycopg:")
        return
    with postgres.proxied(database) as proxy:
        yield proxy


@pytest.fixture
def study_name(tmp_path):
    """A study's name that no other test has."""
    return f"{tmp_path.parent.name}-{tmp_path.name}"[-60:]
