"""Watch an episode in the terminal, or save it as a picture: `python -m agents.watch RUN --out episode.gif`."""

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.outputs import check_output, write_output
from agents.cli.printing import LEGEND
from agents.cli.targets import PLAN_HELP, load_runs, reference_task, with_plans
from agents.evaluation.agent import Player
from agents.evaluation.episodes import PlanningPlayer, gif_bytes, play_episode, png_bytes, show_live
from agents.evaluation.scores import repeatable_sampling
from token_env.drawing.as_text import draw_text, print_text
from token_env.drawing.plan import StepLogits
from token_env.drawing.plan_text import LEGEND as PLAN_LEGEND
from token_env.drawing.plan_text import plan_text
from token_env.episodes.batch import Batch
from token_env.episodes.evaluate import Policy
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.errors import SettingError, unknown_name
from token_env.rules.problems import SPLITS
from token_env.rules.task import Task, with_split

SUFFIXES = (".gif", ".png")


def watch(
    target: Annotated[str, typer.Argument(metavar="RUN_or_POLICY", help="directory of a run, or a reference policy")],
    size: Annotated[str | None, typer.Option(help="size of the task for a reference policy [default: fast]")] = None,
    language: Annotated[str | None, typer.Option(help="language for a reference policy [default: synthetic]")] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="change one constant of the task, such as env.noise=0; repeatable"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="set of problems: train, validation or test")] = "test",
    problem: Annotated[int, typer.Option(metavar="ID", help="id of the problem in the split")] = 0,
    sampled: Annotated[bool, typer.Option("--sampled", help="sample a run's tokens by their probability")] = False,
    plan: Annotated[int | None, typer.Option(metavar="DEPTH", help=PLAN_HELP)] = None,
    fps: Annotated[float, typer.Option(help="steps per second, in the terminal and in a GIF")] = 4.0,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="save the episode as an animated .gif, or its final state as a .png"),
    ] = None,
) -> None:
    """Watch an agent or a reference policy play one episode, in the terminal or as a picture file."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    if not 0 < fps < math.inf:
        raise SettingError(f"fps is {fps:g}; it must be more than 0.")
    if out:
        check_output(out, SUFFIXES)
    policy, task = find_policy(target, size, language, assignments or [], sampled, plan)
    steps = policy.steps if isinstance(policy, PlanningPlayer) else None
    with repeatable_sampling():
        episode = play_episode(policy, with_split(task, split), problem)
        if out:
            is_gif = out.suffix.lower() == ".gif"
            write_output(out, gif_bytes(episode, fps, steps) if is_gif else png_bytes(episode, steps))
            print(f"{target} on {split} problem {problem}: {out}")
        else:
            print(target)
            show_episode(episode, fps, steps)
            print_text(LEGEND.format(budget=task.surprisal_budget))
            if steps is not None:
                print_text(PLAN_LEGEND)


def find_policy(
    target: str, size: str | None, language: str | None, assignments: list[str], sampled: bool, plan: int | None
) -> tuple[Policy | ReferencePolicy, Task]:
    """Return the reference policy or the agent of the run, and its task.

    Raises:
        SettingError: The target is neither a reference policy nor a run, or an option does not apply to it.
    """
    if target not in REFERENCES:
        advice = f"a run or a reference policy ({', '.join(REFERENCES)})"
        (agent,) = with_plans(load_runs([target], size, language, 1, advice, assignments), [target], plan)
        player = PlanningPlayer if agent.plans else Player
        return player(agent, deterministic=not sampled), agent.task
    if plan is not None:
        raise SettingError(f"--plan changes how a run plans; {target!r} is a reference policy; leave out --plan.")
    if sampled:
        raise SettingError(f"{target!r} has no probabilities to sample from; leave out --sampled, or type a run.")
    return REFERENCES[target], reference_task(size, language, assignments)


def show_episode(episode: Iterator[Batch], fps: float, plan: Sequence[StepLogits] | None) -> None:
    """Show every step in a terminal; print only the final state elsewhere, and the plan of every step below."""
    if sys.stdout.isatty():
        show_live(stdout_console(), episode, fps, plan)
    else:
        *_, batch = episode
        print_text(draw_text(batch, 0))
        if plan:
            print_text(plan_text(batch.dynamics.language, batch.problem(0).message, plan))


if __name__ == "__main__":
    run_command(watch)
