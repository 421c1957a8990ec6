"""Print the results of a run: figures, a table with the reference policies, and a few episodes in words."""

import dataclasses
from pathlib import Path

from rich.console import Console

from agents.evaluation.agent import Agent
from agents.evaluation.formats import plus_minus_text
from agents.evaluation.scores import none_for_nan
from agents.evaluation.tables import score_table
from agents.runs import run_dir
from agents.runs.summary import Summary
from token_env.drawing.as_text import draw_words, print_text
from token_env.episodes.evaluate import evaluate
from token_env.episodes.references import REFERENCES
from token_env.optimum.cache import score
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import with_split

EPISODES_SHOWN = 3
LEGEND = "\n(coloured from red, far from the target meaning, to green; ! more surprising than {budget:g} nats)"

ANSWERS_LEGEND = "\n(greedy maximises the reward of each step alone; ^ where the agent differs from it)"


def print_run(console: Console, path: Path, agent: Agent, summary: Summary) -> None:
    """Print the summary of a finished training: scores, sample episodes, speed, and the next command."""
    evaluation = agent.settings.evaluation
    title = f"{evaluation.problems} {evaluation.split} problems"
    console.print(score_table(summary.evaluation, title, agent.uses_mask))
    print_episodes(agent, evaluation.split, range(EPISODES_SHOWN))
    print(
        f"\n{summary.algorithm} {summary.name} seed {summary.seed} on {summary.device}: "
        f"{summary.episodes} episodes in {summary.training_seconds:.1f} s "
        f"({summary.steps_per_second:,.0f} steps/s, {summary.peak_memory_mb:,.0f} MB)\n"
        f"mean return of the last 100 episodes {summary.mean_last_100:+.3f}, best {summary.max_return:+.3f}, "
        f"{summary.distinct_tokens_last_100} distinct tokens\n"
        f"learning curve: {path / run_dir.LEARNING_CURVE}\n"
        f"evaluate again: python -m agents.evaluate {run_dir.as_typed(path)}"
    )


def print_episodes(agent: Agent, split: str, ids: range) -> None:
    """Print the messages of these problems above what the reference policy `greedy` and the agent say."""
    task = dataclasses.replace(with_split(agent.task, split), optimum=True)
    dynamics = Dynamics(task)
    greedy, learned = (evaluate(policy, ids, task=task) for policy in (REFERENCES["greedy"], agent.greedy))
    problems = dynamics.problems.draw(dynamics.problems.validate_ids(list(ids)))
    scores = [score(evaluation.returns, evaluation.optimal_returns) for evaluation in (greedy, learned)]
    for row, problem_id in enumerate(ids):
        of_greedy, of_agent = (plus_minus_text(none_for_nan(values[row]), None, ".3f") for values in scores)
        title = f"\n{split} problem {problem_id}   score of greedy {of_greedy}, of the agent {of_agent}"
        answers = {"greedy": greedy.actions[row], "agent": learned.actions[row]}
        print_text("\n".join([title, *draw_words(dynamics, problems.single(row), answers)]))
    print_text(LEGEND.format(budget=task.surprisal_budget) + ANSWERS_LEGEND)
