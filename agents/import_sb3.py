"""Create a run from a Stable-Baselines3 `.zip`: `python -m agents.import_sb3 FILE --like RUN --trust`."""

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command
from agents.cli.targets import load_runs
from agents.exports.sb3_zip import load_zip_weights
from agents.runs import model_files, run_dir
from agents.runs.model_card import write_card
from agents.settings.yaml_text import dump
from token_env.errors import SettingError


def import_sb3(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="file written by agents.export or Stable-Baselines3")],
    like: Annotated[str, typer.Option(metavar="RUN", help="run with the same task and policy")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="new directory for the run")],
    trust: Annotated[bool, typer.Option("--trust", help="confirm that you know who made the file")] = False,
) -> None:
    """Get a run with the policy weights of a Stable-Baselines3 file; nothing else in the file is read."""
    if not trust:
        raise SettingError(
            f"{str(file)!r} holds pickles, which can run code. Only its weights are read, by torch's restricted "
            "unpickler, which had security holes before; type --trust if you know who made it."
        )
    (agent,) = load_runs([like], None, None, 1, "--like with the directory of a run")
    load_zip_weights(agent.policy, file)
    path = run_dir.create_run_dir(out, {run_dir.CONFIG: dump(agent.settings.to_dict()).encode()})
    model_files.save(path, agent.settings, agent.dynamics, agent.policy)
    write_card(path, None)
    print(f"{path}: the weights of {file}, the task and the policy of {like}")


if __name__ == "__main__":
    run_command(import_sb3)
