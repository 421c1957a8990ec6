"""The page of commands says what `--help` says, of every command."""

import re

import pytest
from typer.testing import CliRunner

from agents.cli.console import command_app
from agents.train import train
from benchmarks.__main__ import app as benchmarks_app
from docs.generators.commands import command_modules, commands_text
from docs.generators.markdown import escaped, table

OPTION = re.compile(r"--[a-z][\w-]*")


def section(heading):
    return commands_text().partition(f"# {heading}\n")[2].partition("\n#")[0]


@pytest.mark.parametrize(
    ("heading", "app", "words"),
    [("agents.train", command_app(train), []), ("benchmarks claims", benchmarks_app, ["claims"])],
)
def test_a_section_has_the_options_of_help(heading, app, words):
    shown = CliRunner().invoke(app, [*words, "--help"]).output
    assert len(set(OPTION.findall(shown))) > 2
    assert set(OPTION.findall(section(heading))) == set(OPTION.findall(shown))
    assert f"python -m {heading} [OPTIONS]" in section(heading)


def test_all_commands_are_there():
    assert {"agents.doctor", "agents.train", "agents.tune", "benchmarks"} <= set(command_modules())
    for module in command_modules():
        assert section(module), module
    for command in ("agents.tune run", "benchmarks speed"):
        assert f"### {command}\n" in commands_text()
    assert "--problems" in section("token_env.episodes")


def test_no_option_lacks_an_explanation():
    assert re.findall(r"`([^`]+)`\n: *\n", commands_text()) == []


def test_text_is_shown_as_it_is():
    assert escaped("a|b *c* [d]\n  <e>_f") == r"a\|b \*c\* \[d\] \<e\>\_f"
    assert escaped("or --no-progress and `x|y`, 1-2") == "or `--no-progress` and `x|y`, 1-2"
    assert table(["a", "b"], [("1", "2")]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"
