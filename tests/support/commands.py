"""The command lines as a person meets them, in this process."""

import sys

import pytest

from agents import doctor as doctor_command
from agents import episodes as episodes_command
from agents import evaluate as evaluate_command
from agents import train as train_command
from agents import tune as tune_command
from agents import watch as watch_command
from agents.cli.console import run_command
from benchmarks import __main__ as benchmarks_command

COMMANDS = {
    "doctor": doctor_command.doctor,
    "episodes": episodes_command.episodes,
    "train": train_command.train,
    "evaluate": evaluate_command.evaluate,
    "watch": watch_command.watch,
}


APPS = {"benchmarks": benchmarks_command.app, "tune": tune_command.app}


def run_line(line, monkeypatch, capsys):
    """Run a line: exit code, standard output, standard error."""
    name, *words = line.split()
    monkeypatch.setattr(sys, "argv", [name, *words])
    with pytest.raises(SystemExit) as end:
        APPS[name]() if name in APPS else run_command(COMMANDS[name])
    captured = capsys.readouterr()
    return end.value.code, captured.out, captured.err
