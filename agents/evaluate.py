"""Evaluate runs or reference policies on held-out problems: `python -m agents.evaluate RUN --split test`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from agents.cli.console import run_command, stdout_console
from agents.cli.printing import EPISODES_SHOWN, print_episodes
from agents.cli.targets import PLAN_HELP, load_runs, reference_task, with_plans
from agents.evaluation.ab_verdict import judge
from agents.evaluation.agent import Agent, TokenPolicy
from agents.evaluation.comparison import compare
from agents.evaluation.deployment_log import read_log
from agents.evaluation.ensemble import RULES, Ensemble
from agents.evaluation.ensemble_scores import compare_with_members
from agents.evaluation.scores import evaluate_agent, evaluate_references, evaluate_timed
from agents.evaluation.shared_task import smallest_agent
from agents.evaluation.tables import ab_test_table, comparison_table, ensemble_table, plan_table, score_table
from agents.runs.summary import training_budget
from token_env.episodes.evaluate import first_problem_ids
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, find, unknown_name
from token_env.rules.problems import SPLITS
from token_env.rules.task import with_split


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
    plan: Annotated[int | None, typer.Option(metavar="DEPTH", help=PLAN_HELP)] = None,
    log: Annotated[
        Path | None, typer.Option(metavar="FILE", help="log of two deployed models: get a verdict on which is better")
    ] = None,
) -> None:
    """Get the scores of a run beside the reference policies, a comparison of two runs, or a verdict on a log."""
    if log:
        if targets or ensemble or assignments or plan is not None:
            raise SettingError(
                "--log reads the log of deployed models; leave out runs, policies, --ensemble, --plan and --set."
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
    if ensemble is None and all(target in REFERENCES for target in targets):
        if plan is not None:
            raise SettingError(
                f"--plan changes how a run plans; {targets[0]!r} is a reference policy; leave out --plan."
            )
        task = reference_task(size, language, assignments)
        title = ", ".join([f"{problems} {split} problems", *assignments])
        stdout_console().print(score_table(evaluate_references(task, split, ids, targets), title))
        return
    trained = load_targets(targets, size, language, assignments, ensemble)
    agents = with_plans(trained, targets, plan)
    conditions = [*assignments, *([] if plan is None else [plan_text(plan)])]
    if ensemble is None:
        print_runs(targets, agents, split, ids, conditions)
    else:
        print_ensemble(Ensemble(agents, ensemble), targets, split, ids, conditions)
    if plan is not None:
        print_plans(trained, plan, split, ids, assignments, ensemble)
    if len(agents) == 1:
        print_episodes(agents[0], split, ids[:EPISODES_SHOWN])


def load_targets(
    targets: list[str], size: str | None, language: str | None, assignments: list[str], ensemble: str | None
) -> list[Agent]:
    """Load one run, two runs to compare, or the members of an ensemble.

    Raises:
        SettingError: The runs or options do not fit together.
    """
    if ensemble is None:
        advice = f"one run, two runs to compare, or any number of reference policies ({', '.join(REFERENCES)})"
        return load_runs(targets, size, language, 2, advice, assignments)
    find("ensemble rule", ensemble, RULES)
    members = load_runs(targets, size, language, len(targets), "two or more runs", assignments)
    if len(set(targets)) < len(targets):
        raise SettingError("a run is named twice; type each member of an ensemble once.")
    return members


def print_runs(targets: list[str], agents: Sequence[Agent], split: str, ids: range, conditions: list[str]) -> None:
    """Print the scores of a run beside the reference policies, or the comparison of two runs."""
    title, (agent, *others) = f"{len(ids)} {split} problems", agents
    if others:
        comparison = compare(agent, others[0], split, ids)
        size = f"{title} of {comparison.task.vocab_size} tokens and {comparison.task.max_steps} steps"
        subtitle = ", ".join([size, *conditions])
        first, second = display_names(targets, agents)
        stdout_console().print(comparison_table(comparison, (first, second), subtitle))
        budgets = [training_budget(Path(target), agent.settings) for target, agent in zip(targets, agents, strict=True)]
        if budgets[0] != budgets[1]:
            print(f"different budgets: A was trained for {budgets[0]}, B for {budgets[1]}")
        return
    scores = evaluate_agent(agent, split, ids) | evaluate_references(agent.task, split, ids)
    stdout_console().print(score_table(scores, ", ".join([title, *conditions]), agent.uses_mask))


def display_names(names: Sequence[str], agents: Sequence[Agent]) -> list[str]:
    """Return the names for tables, with "(masked)" after those of agents that use action masks."""
    return [f"{name} (masked)" if agent.uses_mask else name for name, agent in zip(names, agents, strict=True)]


def print_ensemble(ensemble: Ensemble, names: list[str], split: str, ids: range, conditions: list[str]) -> None:
    """Print the scores of an ensemble beside those of its members, and the verdict."""
    scores = compare_with_members(ensemble, display_names(names, ensemble.members), split, ids)
    task = scores.task
    size = f"{len(ids)} {split} problems of {task.vocab_size} tokens and {task.max_steps} steps"
    title = ", ".join([size, *conditions])
    stdout_console().print(ensemble_table(scores, ensemble.rule, title))
    print(scores.verdict)


def print_plans(
    trained: Sequence[Agent], depth: int, split: str, ids: range, assignments: list[str], rule: str | None
) -> None:
    """Print scores and costs of a token with a plan of this depth, without one, and as trained.

    Args:
        trained: Agents as they were trained.
        depth: Depth of the plan.
        split: Split of the problems.
        ids: Ids of the problems.
        assignments: The command's --set.
        rule: Rule that combines the agents; None for agents that play alone.
    """
    policies: dict[str, TokenPolicy] = {}
    without: dict[str, str] = {}
    size = len(trained)
    for depths in dict.fromkeys([(0,) * size, (depth,) * size, tuple(agent.plan_depth for agent in trained)]):
        agents = [agent.with_plan(deep) for agent, deep in zip(trained, depths, strict=True)]
        players: Mapping[str, TokenPolicy] = dict(zip("AB" if size > 1 else ["agent"], agents, strict=False))
        if rule is not None:
            players = {"ensemble": Ensemble(agents, rule)}
        for name, player in players.items():
            full = f"{name}, {plan_text(depths[0]) if len({*depths}) == 1 else 'plan as trained'}"
            policies[full] = player
            if any(depths):
                without[full] = f"{name}, {plan_text(0)}"
    task = with_split(smallest_agent(trained).task, split)
    timed = dict(zip(policies, evaluate_timed([*policies.values()], task, ids), strict=True))
    title = ", ".join([f"what the plan gains and costs: {len(ids)} {split} problems", *assignments])
    stdout_console().print(plan_table(timed, without, title))


def plan_text(depth: int) -> str:
    """Return words for a plan of this depth."""
    return {0: "no plan", 1: "plan of 1 step"}.get(depth, f"plan of {depth} steps")


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
