"""Folders of the user that have the names of our packages."""

import subprocess
import sys

import pytest

OURS = ("agents", "benchmarks", "configs", "token_env")


def python(folder, *words):
    return subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)


def test_folders_without_modules_hide_nothing(tmp_path):
    for name in OURS:
        (tmp_path / name).mkdir()
    shown = "import agents, benchmarks, configs, token_env; print(agents, benchmarks, configs, token_env)"
    out = python(tmp_path, "-c", shown)
    assert out.returncode == 0, out.stderr
    assert out.stdout.count("__init__.py") == 4
    assert str(tmp_path) not in out.stdout


def test_presets_are_read_whatever_is_called_configs(tmp_path):
    (tmp_path / "configs.py").write_text("raise RuntimeError")
    shown = "from agents.settings.presets import names, read_preset; print(names(), read_preset('tiny')['episodes'])"
    out = python(tmp_path, "-c", shown)
    assert out.returncode == 0, out.stderr
    assert "'reported/stable'" in out.stdout


@pytest.mark.parametrize(
    ("hidden", "command"), [("token_env", "agents"), ("token_env", "benchmarks"), ("agents", "benchmarks")]
)
def test_a_package_that_hides_ours_is_named_in_one_message(hidden, command, tmp_path):
    (tmp_path / hidden).mkdir()
    (tmp_path / hidden / "__init__.py").touch()
    message = f"{tmp_path / hidden / '__init__.py'} hides tokentask's package {hidden!r}; rename its folder"
    out = python(tmp_path, "-m", f"{command}.train" if command == "agents" else command)
    assert out.returncode == 2
    assert out.stderr.startswith(f"error: {message}")
    assert out.stderr.count("\n") == 1
    assert f"ImportError: {message}" in python(tmp_path, "-c", f"import {command}").stderr
