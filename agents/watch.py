"""Watch an episode in the terminal, or make a picture of it: `python -m agents.watch RUN --out episode.gif`."""

import dataclasses
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.printing import LEGEND
from agents.cli.targets import load_runs, reference_task
from agents.evaluation.episodes import film, play, show_live, still
from agents.evaluation.scores import repeatable_sampling
from token_env.drawing.as_text import draw_text, print_text
from token_env.episodes.batch import Batch
from token_env.episodes.evaluate import Policy
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.errors import SettingError, unknown_name
from token_env.files import write_bytes
from token_env.rules.problems import SPLITS
from token_env.rules.task import Task

ENDINGS = (".gif", ".png")


def watch(
    target: Annotated[
        str, typer.Argument(metavar="RUN_or_POLICY", help="the directory of a run, or a reference policy")
    ],
    size: Annotated[str | None, typer.Option(help="of the task that a reference policy plays [default: fast]")] = None,
    language: Annotated[str | None, typer.Option(help="that a reference policy speaks [default: synthetic]")] = None,
    split: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    problem: Annotated[int, typer.Option(metavar="ID", help="which problem of the split")] = 0,
    sampled: Annotated[bool, typer.Option("--sampled", help="draw a run's tokens by their probability")] = False,
    fps: Annotated[float, typer.Option(help="steps a second, in the terminal and in a GIF")] = 4.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="write the episode as an animated .gif, or its end as a .png"),
    ] = None,
) -> None:
    """Watch a run or a reference policy say a message, in the terminal or as a picture in a file."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if not 0 < fps < math.inf:
        raise SettingError(f"fps is {fps:g}; it must be more than 0.")
    if out:
        check_out(out)
    policy, task = find_policy(target, size, language, sampled)
    with repeatable_sampling():
        episode = play(policy, dataclasses.replace(task, split=split, num_problems=None), problem)
        if out:
            write_picture(out, episode, fps)
            print(f"{target} on {split} problem {problem}: {out}")
        else:
            print(target)
            show(episode, fps)
            print_text(LEGEND.format(budget=task.surprisal_budget))


def find_policy(
    target: str, size: str | None, language: str | None, sampled: bool
) -> tuple[Policy | ReferencePolicy, Task]:
    """The policy of this name or run, and the task it plays.

    Raises:
        SettingError: neither a reference policy nor a run, or an option that it cannot have.
    """
    if target not in REFERENCES:
        (agent,) = load_runs([target], size, language, 1, f"a run or a reference policy ({', '.join(REFERENCES)})")
        return agent.sampled if sampled else agent.greedy, agent.task
    if sampled:
        raise SettingError(f"{target!r} has no probabilities to sample from; leave out --sampled, or name a run.")
    return REFERENCES[target], reference_task(size, language)


def check_out(out: Path) -> None:
    """Refuse a file that cannot be written, before anything is played.

    Raises:
        SettingError: another ending than those of pictures, or no directory to put it into.
    """
    if out.suffix.lower() not in ENDINGS:
        raise SettingError(
            f"cannot write {str(out)!r}: its ending must be .gif (the episode) or .png (its end); "
            f"type --out episode.gif, say."
        )
    if not out.parent.is_dir():
        raise SettingError(f"cannot write {str(out)!r}: there is no directory {str(out.parent)!r}.")
    if out.is_dir():
        raise SettingError(f"cannot write {str(out)!r}: it is a directory.")


def write_picture(out: Path, episode: Iterator[Batch], fps: float) -> None:
    """Write the whole picture, or nothing.

    Raises:
        SettingError: the file cannot be written.
    """
    content = film(episode, fps) if out.suffix.lower() == ".gif" else still(episode)
    try:
        write_bytes(out, content)
    except OSError as error:
        raise SettingError(f"cannot write {str(out)!r}: {error.strerror}; type --out with another file.") from error


def show(episode: Iterator[Batch], fps: float) -> None:
    """Show every step in a terminal, the end alone where there is none."""
    if sys.stdout.isatty():
        show_live(stdout_console(), episode, fps)
    else:
        *_, batch = episode
        print_text(draw_text(batch, 0))


if __name__ == "__main__":
    run_command(watch)
