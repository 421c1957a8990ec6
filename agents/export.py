"""Export a trained agent for other programs: `python -m agents.export RUN --format onnx`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command
from agents.cli.outputs import check_output, write_output
from agents.cli.targets import load_runs
from agents.evaluation.agent import Agent
from agents.exports.onnx_file import OnnxPlayer, check_installed, onnx_bytes
from agents.exports.parity import count_disagreements
from agents.exports.safetensors_file import safetensors_bytes, safetensors_player
from agents.exports.sb3_zip import ZipPlayer, needs_tokentask, zip_bytes
from token_env.episodes.evaluate import EpisodePolicy
from token_env.errors import SettingError, find

# By format: file suffix, serializer, and constructor of a policy from the file's content.
FORMATS: dict[str, tuple[str, Callable[[Agent], bytes], Callable[[Agent, bytes], EpisodePolicy]]] = {
    "onnx": (".onnx", onnx_bytes, lambda _, content: OnnxPlayer(content)),
    "sb3": (".zip", zip_bytes, ZipPlayer),
    "safetensors": (".safetensors", safetensors_bytes, safetensors_player),
}


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="directory of a run")],
    form: Annotated[str, typer.Option("--format", help="file format: onnx, sb3 or safetensors")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="file to write [default: RUN with the format's suffix]")
    ] = None,
) -> None:
    """Get a trained agent as one file for other programs, checked to choose the same tokens as the agent."""
    suffix, serialize, make_player = find("format", form, FORMATS)
    if form == "onnx":
        check_installed()
    path = Path(f"{run.rstrip('/')}{suffix}") if out is None else out
    check_output(path)
    (agent,) = load_runs([run], None, None, 1, "the directory of a run")
    content = serialize(agent)
    differing, compared = count_disagreements(agent, make_player(agent, content))
    if differing:
        raise SettingError(
            f"nothing was written: the {form} file chooses another token on {differing} of {compared} observations."
        )
    write_output(path, content)
    print(f"{path}: {len(content) / 1e6:,.1f} MB, same tokens as the agent on {compared:,} observations")
    if form == "sb3":
        where = "where tokentask is installed" if needs_tokentask(agent) else "without tokentask"
        print(f"Stable-Baselines3 loads it {where}. Loading such a file runs code: tell users where it comes from.")


if __name__ == "__main__":
    run_command(export)
