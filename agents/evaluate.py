"""Evaluate runs or reference policies on held-out problems: `python -m agents.evaluate RUN --split test`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.printing import EPISODES_SHOWN, print_episodes
from agents.cli.targets import load_runs, reference_task
from agents.evaluation.ab_verdict import judge
from agents.evaluation.agent import Agent
from agents.evaluation.comparison import compare
from agents.evaluation.deployment_log import read_log
from agents.evaluation.ensemble import RULES, Ensemble
from agents.evaluation.ensemble_scores import compare_with_members
from agents.evaluation.scores import evaluate_agent, evaluate_references
from agents.evaluation.tables import ab_test_table, comparison_table, ensemble_table, score_table
from agents.runs.summary import training_budget
from token_env.episodes.evaluate import first_problem_ids
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, find, unknown_name
from token_env.rules.problems import SPLITS


def evaluate(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN_or_POLICY",
            help="directory of a run, directories of two runs to compare, or reference policies",
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(help="size of the task for reference policies [default: fast]")] = None,
    language: Annotated[
        str | None,
        typer.Option(help="language for reference policies: synthetic, english or text:PATH [default: synthetic]"),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="change one constant of the task, such as env.noise=0; repeatable"
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="set of problems: train, validation or test")] = "test",
    problems: Annotated[int, typer.Option(help="number of problems, from the first of the split")] = 200,
    ensemble: Annotated[
        str | None, typer.Option(metavar="RULE", help=f"combine the runs by {', '.join(RULES)}; compare with each run")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="log of two deployed models: get a verdict on which is better")
    ] = None,
) -> None:
    """Get the scores of a run beside the reference policies, a comparison of two runs, or a verdict on a log."""
    if log:
        if targets or ensemble or assignments:
            raise SettingError(
                "--log reads the log of deployed models; leave out runs, policies, --ensemble and --set."
            )
        print_verdict(log)
        return
    if not targets:
        raise SettingError(
            "nothing to evaluate; type a run, reference policies, or --log FILE; --help lists all options."
        )
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    ids, assignments = first_problem_ids(problems), assignments or []
    if ensemble is not None:
        find("ensemble rule", ensemble, RULES)
        members = load_runs(targets, size, language, len(targets), "two or more runs", assignments)
        if len(set(targets)) < len(targets):
            raise SettingError("a run is named twice; type each member of an ensemble once.")
        print_ensemble(Ensemble(members, ensemble), targets, split, ids, assignments)
    elif all(target in REFERENCES for target in targets):
        task = reference_task(size, language, assignments)
        stdout_console().print(
            score_table(
                evaluate_references(task, split, ids, targets),
                ", ".join([f"{problems} {split} problems", *assignments]),
            )
        )
    else:
        advice = f"one run, two runs to compare, or any number of reference policies ({', '.join(REFERENCES)})"
        agents = load_runs(targets, size, language, 2, advice, assignments)
        print_runs(targets, agents, split, ids, assignments)


def print_runs(targets: list[str], agents: Sequence[Agent], split: str, ids: range, assignments: list[str]) -> None:
    """Print the scores of a run beside the reference policies, or the comparison of two runs."""
    title, (agent, *others) = f"{len(ids)} {split} problems", agents
    if others:
        comparison = compare(agent, others[0], split, ids)
        size = f"{title} of {comparison.task.vocab_size} tokens and {comparison.task.max_steps} steps"
        subtitle = ", ".join([size, *assignments])
        first, second = display_names(targets, agents)
        stdout_console().print(comparison_table(comparison, (first, second), subtitle))
        budgets = [training_budget(Path(target), agent.settings) for target, agent in zip(targets, agents, strict=True)]
        if budgets[0] != budgets[1]:
            print(f"different budgets: A was trained for {budgets[0]}, B for {budgets[1]}")
        return
    scores = evaluate_agent(agent, split, ids) | evaluate_references(agent.task, split, ids)
    stdout_console().print(score_table(scores, ", ".join([title, *assignments]), agent.uses_mask))
    print_episodes(agent, split, ids[:EPISODES_SHOWN])


def display_names(names: Sequence[str], agents: Sequence[Agent]) -> list[str]:
    """Return the names for tables, with "(masked)" after those of agents that use action masks."""
    return [f"{name} (masked)" if agent.uses_mask else name for name, agent in zip(names, agents, strict=True)]


def print_ensemble(ensemble: Ensemble, names: list[str], split: str, ids: range, assignments: list[str]) -> None:
    """Print the scores of an ensemble beside those of its members, and the verdict."""
    scores = compare_with_members(ensemble, display_names(names, ensemble.members), split, ids)
    task = scores.task
    size = f"{len(ids)} {split} problems of {task.vocab_size} tokens and {task.max_steps} steps"
    title = ", ".join([size, *assignments])
    stdout_console().print(ensemble_table(scores, ensemble.rule, title))
    print(scores.verdict)


def print_verdict(path: Path) -> None:
    """Print the comparison of two deployed models from their log, and the verdict."""
    verdict = judge(read_log(path))
    log = verdict.log
    stdout_console().print(ab_test_table(verdict, f"{path}: {len(log.a.returns) + len(log.b.returns):,} requests"))
    if log.skipped_lines:
        print(log.skipped_lines)
    print(verdict.sentence)


if __name__ == "__main__":
    run_command(evaluate)
