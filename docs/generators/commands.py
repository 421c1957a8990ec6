"""Describe every command as Markdown, from the parsers that also print `--help`."""

import inspect
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from typer.main import get_command

from agents.cli.console import command_app
from docs.generators.markdown import escaped
from token_env.episodes.__main__ import make_parser

ROOT = Path(__file__).parents[2]


def commands_text() -> str:
    """Return a heading, the purpose, the usage and the options of each command."""
    sections = [section for module in command_modules() for section in module_sections(module)]
    return "\n\n".join([*sections, f"## token_env.episodes\n\n```text\n{make_parser().format_help()}```"])


def command_modules() -> list[str]:
    """List the modules that are commands made with Typer: files of agents/, and the package benchmarks."""
    files = [path for path in sorted((ROOT / "agents").glob("*.py")) if '__name__ == "__main__"' in path.read_text()]
    return [*(f"agents.{path.stem}" for path in files), "benchmarks"]


def module_sections(name: str) -> Iterator[str]:
    """Yield the sections of a command and of its subcommands."""
    module = import_module(f"{name}.__main__" if name == "benchmarks" else name)
    app = getattr(module, "app", None) or command_app(getattr(module, name.rpartition(".")[2]))
    program = get_command(app)
    subcommands = getattr(program, "commands", {})
    yield section(f"python -m {name}", program, f"## {name}", with_options=not subcommands)
    for word, subcommand in subcommands.items():
        yield section(f"python -m {name} {word}", subcommand, f"### {name} {word}")


def section(typed: str, command: Any, heading: str, with_options: bool = True) -> str:
    """Return what `--help` says of one command, as Markdown."""
    context = command.context_class(command, info_name=typed)
    usage = " ".join([typed, *command.collect_usage_pieces(context)])
    parts = [heading, escaped(inspect.cleandoc(command.help or "")), f"```text\n{usage}\n```"]
    if with_options:
        records = (parameter.get_help_record(context) for parameter in command.get_params(context))
        parts += [f"`{names}`\n: {escaped(meaning)}" for names, meaning in filter(None, records)]
    return "\n\n".join(parts)
