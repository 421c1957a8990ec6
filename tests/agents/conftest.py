"""Run a command as it is typed."""

import sys

import pytest

from agents.cli.console import run_command


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def command(function, words):
        monkeypatch.setattr(sys, "argv", ["command", *words.split()])
        with pytest.raises(SystemExit) as end:
            run_command(function)
        return end.value.code, *capsys.readouterr()

    return command
