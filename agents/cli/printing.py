"""Print the results of a run: figures, a table with the reference policies, and a few episodes in words."""

from pathlib import Path

from rich.console import Console

from agents.evaluation.agent import Agent
from agents.evaluation.tables import score_table
from agents.runs import run_dir
from agents.runs.summary import Summary
from token_env.drawing.as_text import draw_words, print_text
from token_env.episodes.evaluate import evaluate
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import with_split

EPISODES_SHOWN = 3
LEGEND = "\n(coloured from red, far from the target meaning, to green; ! more surprising than {budget:g} nats)"


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
    """Print the messages of these problems beside the agent's tokens."""
    dynamics = Dynamics(with_split(agent.task, split))
    tokens = evaluate(agent.greedy, ids, task=dynamics.task).actions
    problems = dynamics.problems.draw(dynamics.problems.validate_ids(list(ids)))
    for row, problem_id in enumerate(ids):
        lines = draw_words(dynamics, problems.single(row), tokens[row])
        print_text("\n".join([f"\n{split} problem {problem_id}", *lines]))
    print_text(LEGEND.format(budget=dynamics.task.surprisal_budget))
