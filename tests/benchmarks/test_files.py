"""Which folders hold the results, in a checkout and in an installed package."""

import importlib.util
import shutil
from pathlib import Path

import benchmarks.files


def load_from(folder):
    """The module as it is in `folder`, which holds the package."""
    copy = folder / "benchmarks" / "files.py"
    copy.parent.mkdir()
    shutil.copy(benchmarks.files.__file__, copy)
    spec = importlib.util.spec_from_file_location("files_elsewhere", copy)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_an_installed_package_writes_into_the_users_folder(tmp_path):
    files = load_from(tmp_path)
    assert tmp_path / "benchmarks" / "results" == files.RESULTS
    assert Path("benchmark-results") == files.NEW_RESULTS
    assert files.results_option(files.NEW_RESULTS) == " --results benchmark-results"
    assert files.results_option(files.RESULTS) == ""


def test_a_checkout_writes_where_the_committed_results_are(tmp_path):
    (tmp_path / "pyproject.toml").touch()
    files = load_from(tmp_path)
    assert tmp_path / "benchmarks" / "results" == files.NEW_RESULTS
    assert files.results_option(files.NEW_RESULTS) == ""
