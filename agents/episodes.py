"""Write the episodes of a run as a Minari dataset: `python -m agents.episodes RUN --out DIR`."""

from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command
from agents.cli.targets import load_runs
from agents.evaluation.agent import Agent
from agents.evaluation.scores import repeatable_sampling
from token_env.episodes.dataset import summary, write_episodes
from token_env.episodes.evaluate import first_problem_ids
from token_env.errors import SettingError
from token_env.rules.dynamics import Dynamics
from token_env.rules.rewards import FUNCTION_NAME
from token_env.rules.task import Task, with_split

ADVICE = "the directory of a run, or python -m token_env.episodes POLICY for a reference policy"


def episodes(
    run: Annotated[str, typer.Argument(metavar="RUN", help="directory of a run")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder of the dataset, a new one")],
    split: Annotated[str, typer.Option(help="problems: train, validation or test")] = "train",
    problems: Annotated[int, typer.Option(help="number of problems, from the first of the split")] = 1000,
    sampled: Annotated[bool, typer.Option("--sampled", help="sample tokens by their probability")] = False,
) -> None:
    """Let a trained agent play, and write its episodes as a Minari dataset."""
    (agent,) = load_runs([run], None, None, 1, ADVICE)
    task = with_split(named_task(agent), split)
    policy = agent.sampled if sampled else agent.greedy
    with repeatable_sampling():
        results = write_episodes(
            policy, first_problem_ids(problems), out, task=task, algorithm=agent.settings.algorithm
        )
    print(summary(results, out))


def named_task(agent: Agent) -> Task:
    """Return the task of an agent with the names of its language and reward, as a dataset stores them.

    Raises:
        SettingError: The name of the language stands for another language now, or the reward is a user's function.
    """
    task = agent.settings.env
    if isinstance(task.reward, str) and FUNCTION_NAME.fullmatch(task.reward):
        raise SettingError(
            f"the run was trained with the reward {task.reward!r}, a user's function, which commands that play do not "
            f"import; in Python, call token_env.import_reward({task.reward!r}) and token_env.write_episodes."
        )
    if Dynamics(task).language.fingerprint != agent.language.fingerprint:
        raise SettingError(
            f"{task.language!r} is no longer the language of the run, and a dataset names the language; restore the "
            "text that the run was trained on."
        )
    return task


if __name__ == "__main__":
    run_command(episodes)
