"""Write a trained agent for other programs: `python -m agents.export RUN --format onnx`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command
from agents.cli.outputs import check_output, write_output
from agents.cli.targets import load_runs
from agents.evaluation.agent import Agent
from agents.exports.onnx_file import OnnxPlayer, check_installed, onnx_bytes
from agents.exports.parity import disagreement
from agents.exports.safetensors_file import safetensors_bytes, safetensors_player
from agents.exports.sb3_zip import ZipPlayer, needs_tokentask, zip_bytes
from token_env.episodes.evaluate import EpisodePolicy
from token_env.errors import SettingError, find

# By format: the ending of the file, what writes it, and who plays it.
FORMATS: dict[str, tuple[str, Callable[[Agent], bytes], Callable[[Agent, bytes], EpisodePolicy]]] = {
    "onnx": (".onnx", onnx_bytes, lambda _, content: OnnxPlayer(content)),
    "sb3": (".zip", zip_bytes, ZipPlayer),
    "safetensors": (".safetensors", safetensors_bytes, safetensors_player),
}


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="the directory of a run")],
    form: Annotated[str, typer.Option("--format", help="onnx, sb3 or safetensors")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="where it goes [default: RUN with the format's ending]")
    ] = None,
) -> None:
    """Write a trained agent as one file, which says the same tokens as the agent."""
    ending, written, player = find("format", form, FORMATS)
    if form == "onnx":
        check_installed()
    path = Path(f"{run.rstrip('/')}{ending}") if out is None else out
    check_output(path)
    (agent,) = load_runs([run], None, None, 1, "the directory of a run")
    content = written(agent)
    differing, seen = disagreement(agent, player(agent, content))
    if differing:
        raise SettingError(
            f"nothing was written: the {form} file says another token on {differing} of {seen} observations."
        )
    write_output(path, content)
    print(f"{path}: {len(content) / 1e6:,.1f} MB, the agent's tokens on {seen:,} observations")
    if form == "sb3":
        where = "where tokentask is installed" if needs_tokentask(agent) else "without tokentask"
        print(f"Stable-Baselines3 loads it {where}. Such files run code when they are loaded: pass on its origin too.")


if __name__ == "__main__":
    run_command(export)
