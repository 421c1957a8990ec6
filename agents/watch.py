"""Watch an episode in the terminal, or make a picture of it: `python -m agents.watch RUN --out episode.gif`."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.outputs import check_output, write_output
from agents.cli.printing import LEGEND
from agents.cli.targets import load_runs, reference_task
from agents.evaluation.episodes import film, play, show_live, still
from agents.evaluation.scores import repeatable_sampling
from token_env.drawing.as_text import draw_text, print_text
from token_env.episodes.batch import Batch
from token_env.episodes.evaluate import Policy
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.errors import SettingError, unknown_name
from token_env.rules.problems import SPLITS
from token_env.rules.task import Task, held_out

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
        check_output(out, ENDINGS)
    policy, task = find_policy(target, size, language, sampled)
    with repeatable_sampling():
        episode = play(policy, held_out(task, split), problem)
        if out:
            write_output(out, film(episode, fps) if out.suffix.lower() == ".gif" else still(episode))
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


def show(episode: Iterator[Batch], fps: float) -> None:
    """Show every step in a terminal, the end alone where there is none."""
    if sys.stdout.isatty():
        show_live(stdout_console(), episode, fps)
    else:
        *_, batch = episode
        print_text(draw_text(batch, 0))


if __name__ == "__main__":
    run_command(watch)
