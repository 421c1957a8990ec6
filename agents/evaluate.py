"""Evaluate runs or reference policies on held-out problems: `python -m agents.evaluate RUN --split test`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.printing import EPISODES_SHOWN, print_episodes
from agents.cli.targets import load_runs, reference_task
from agents.evaluation.ab_test import judge
from agents.evaluation.agent import Agent
from agents.evaluation.comparison import compare
from agents.evaluation.deployment_log import read_log
from agents.evaluation.ensemble import RULES, Ensemble
from agents.evaluation.ensemble_scores import play_beside_members
from agents.evaluation.scores import evaluate_agent, evaluate_references
from agents.evaluation.tables import comparison_table, score_table, standing_table, verdict_table
from token_env.episodes.evaluate import checked_problems
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, find, unknown_name
from token_env.rules.problems import SPLITS


def evaluate(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="RUN_or_POLICY", help="the directory of a run, or of two to compare, or reference policies"
        ),
    ] = None,
    size: Annotated[str | None, typer.Option(help="of the task that reference policies play [default: fast]")] = None,
    language: Annotated[
        str | None,
        typer.Option(help="synthetic, english or text:PATH, that reference policies speak [default: synthetic]"),
    ] = None,
    split: Annotated[str, typer.Option(help="train, validation or test")] = "test",
    problems: Annotated[int, typer.Option(help="how many problems of the split, from its first")] = 200,
    ensemble: Annotated[
        str | None, typer.Option(metavar="RULE", help=f"play the runs as one, by {', '.join(RULES)}, beside each")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="which of two deployed models is better, by their log")
    ] = None,
) -> None:
    """Evaluate a run beside the reference policies, two runs problem by problem, or reference policies alone."""
    if log:
        if targets or ensemble:
            raise SettingError("--log reads what deployed models answered; leave out runs, policies and --ensemble.")
        print_verdict(log)
        return
    if not targets:
        raise SettingError("nothing was named; type a run, reference policies, or --log FILE; --help tells more.")
    if split not in SPLITS:
        raise unknown_name("split", split, SPLITS)
    ids = checked_problems(problems)
    if ensemble is not None:
        find("ensemble rule", ensemble, RULES)
        members = load_runs(targets, size, language, len(targets), "two or more runs")
        if len(set(targets)) < len(targets):
            raise SettingError("a run was named twice; type each member of an ensemble once.")
        print_ensemble(Ensemble(members, ensemble), targets, split, ids)
    elif all(target in REFERENCES for target in targets):
        task = reference_task(size, language)
        stdout_console().print(
            score_table(evaluate_references(task, split, ids, targets), f"{problems} {split} problems")
        )
    else:
        print_runs(targets, size, language, split, ids)


def print_runs(targets: list[str], size: str | None, language: str | None, split: str, ids: range) -> None:
    """A run beside the reference policies, or two runs."""
    title = f"{len(ids)} {split} problems"
    allowed = f"one run, two runs to compare, or any number of reference policies ({', '.join(REFERENCES)})"
    agent, *others = load_runs(targets, size, language, 2, allowed)
    if others:
        comparison = compare(agent, others[0], split, ids)
        played = f"{title} of {comparison.task.vocab_size} tokens and {comparison.task.max_steps} steps"
        first, second = named(targets, (agent, *others))
        stdout_console().print(comparison_table(comparison, (first, second), played))
        return
    scores = evaluate_agent(agent, split, ids) | evaluate_references(agent.task, split, ids)
    stdout_console().print(score_table(scores, title, agent.uses_mask))
    print_episodes(agent, split, ids[:EPISODES_SHOWN])


def named(names: Sequence[str], agents: Sequence[Agent]) -> list[str]:
    """What agents are called in tables: by these names, and whether they are kept to legal tokens."""
    return [f"{name} (masked)" if agent.uses_mask else name for name, agent in zip(names, agents, strict=True)]


def print_ensemble(ensemble: Ensemble, names: list[str], split: str, ids: range) -> None:
    """An ensemble beside its members."""
    standing = play_beside_members(ensemble, named(names, ensemble.members), split, ids)
    task = standing.task
    title = f"{len(ids)} {split} problems of {task.vocab_size} tokens and {task.max_steps} steps"
    stdout_console().print(standing_table(standing, ensemble.rule, title))
    print(standing.verdict)


def print_verdict(path: Path) -> None:
    """Two deployed models, by their log."""
    verdict = judge(read_log(path))
    log = verdict.log
    stdout_console().print(verdict_table(verdict, f"{path}: {len(log.a.returns) + len(log.b.returns):,} requests"))
    if log.left_out:
        print(log.left_out)
    print(verdict.sentence)


if __name__ == "__main__":
    run_command(evaluate)
