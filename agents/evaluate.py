"""Evaluate runs or reference policies on held-out problems: `python -m agents.evaluate RUN --split test`."""

from typing import Annotated

import typer

from agents.compare import compare, comparison_table
from agents.console import run_command, stdout_console
from agents.report import EPISODES_SHOWN, print_episodes
from agents.scores import evaluate_agent, evaluate_references, score_table
from agents.targets import load_runs, reference_task
from token_env.errors import unknown_name
from token_env.evaluate import checked_problems
from token_env.problem import SPLITS
from token_env.references import REFERENCES


def evaluate(
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN_or_POLICY", help="the directory of a run, or of two to compare, or reference policies"
        ),
    ],
    size: Annotated[str | None, typer.Option(help="of the task that reference policies play [default: fast]")] = None,
    language: Annotated[
        str | None,
        typer.Option(help="synthetic, english or text:PATH, that reference policies speak [default: synthetic]"),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    problems: Annotated[int, typer.Option(help="how many problems of the split, from its first")] = 200,
) -> None:
    """Evaluate a run beside the reference policies, two runs problem by problem, or reference policies alone."""
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    ids = checked_problems(problems)
    title = f"{problems} {split} problems"
    if all(target in REFERENCES for target in targets):
        task = reference_task(size, language)
        stdout_console().print(score_table(evaluate_references(task, split, ids, targets), title))
        return
    allowed = f"one run, two runs to compare, or any number of reference policies ({', '.join(REFERENCES)})"
    agent, *others = load_runs(targets, size, language, 2, allowed)
    if others:
        comparison = compare(agent, others[0], split, ids)
        played = f"{title} of {comparison.task.vocab_size} tokens and {comparison.task.max_steps} steps"
        names = [
            f"{name} (masked)" if one.uses_mask else name for name, one in zip(targets, (agent, *others), strict=True)
        ]
        stdout_console().print(comparison_table(comparison, (names[0], names[1]), played))
        return
    scores = evaluate_agent(agent, split, ids) | evaluate_references(agent.task, split, ids)
    stdout_console().print(score_table(scores, title, agent.uses_mask))
    print_episodes(agent, split, ids[:EPISODES_SHOWN])


if __name__ == "__main__":
    run_command(evaluate)
