"""Train and evaluate one run of a case and append its row to the results, also if the training diverges."""

import dataclasses
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from agents.algorithms.models import build_learner
from agents.evaluation.agent import Agent, Player
from agents.evaluation.scores import Figures, Scores, evaluate_agent, evaluate_references, score_policy
from agents.machine.signals import Interrupted
from agents.runs import run_dir
from agents.runs.metrics import load_metrics
from agents.runs.summary import read_record
from agents.settings.schema import Settings
from agents.training.finish import Result
from agents.training.fit import fit
from agents.training.guards import DivergedError
from benchmarks.measures.head_numbers import head_numbers, tied_head_of
from benchmarks.measures.results_file import append
from benchmarks.measures.row import FORMAT, Row
from benchmarks.runner.clean_checkout import require_clean_checkout
from benchmarks.suite.cases import find_benchmark
from token_env import SIZES
from token_env.rules.task import Task, with_split

VALIDATION_PROBLEMS = 200  # of which variants of the settings are chosen; test problems are for the headline score


def measure(benchmark: str, case: str, seed: int, folder: Path, run: Path) -> Row:
    """Train and evaluate one run from scratch, then append its row to the results unless they hold this run already.

    A training that diverges has a row without evaluation; its start must not diverge.

    Args:
        benchmark: Name of the benchmark.
        case: Name of the case.
        seed: Seed of the run.
        folder: Directory of the results files.
        run: Run directory; existing content is deleted.

    Returns:
        The row.

    Raises:
        SettingError: If the benchmark or the case is unknown, the results are the committed ones and the code is not,
            or the run that supplies the initial weights diverges.
        Interrupted: If a signal stops the training.
    """
    require_clean_checkout(folder)
    definition = find_benchmark(benchmark).find_case(case)
    settings, start_settings = definition.settings(seed), definition.start_settings(seed)
    with definition.constants_in_use():
        start = _train(start_settings, run.with_name(f"{run.name}-start")) if start_settings else None
        try:
            result = _train(settings.model_copy(update={"from_run": str(start.run)}) if start else settings, run)
        except DivergedError as error:
            if error.result is None:
                raise
            result = error.result
        row = row_of(case, result, start)
    append(benchmark, folder, row)
    return row


def _train(settings: Settings, run: Path) -> Result:
    """Train and evaluate a run in this directory; delete its previous content."""
    shutil.rmtree(run, ignore_errors=True)
    result = fit(settings, run, progress=False)
    if result.interrupted:
        raise Interrupted(result.interrupted)
    return result


def row_of(case: str, result: Result, start: Result | None = None) -> Row:
    """Build the row of a run that is finished or diverged.

    Args:
        case: Name of the case.
        result: Result of the run.
        start: Result of the run that supplied the initial weights; None: random weights.
    """
    record, summary, diverged = read_record(result.run), result.summary, result.summary.status == "diverged"
    episodes, updates = load_metrics(result.run)
    policy = result.agent.policy
    head = None if diverged else tied_head_of(policy)
    row: dict[str, Any] = {
        "format": FORMAT,
        "case": case,
        "seed": result.agent.settings.seed,
        "started": record.started,
        "revision": record.revision,
        "versions": record.versions,
        "machine": record.machine,
        "settings": result.agent.settings.to_dict() | {"from_run": None},  # a path of this machine
        "language": result.agent.language.fingerprint,
        "training": summary.cost(record),
        "policy_bytes": sum(weights.numel() * weights.element_size() for weights in policy.parameters()),
        "file_bytes": None if diverged else (result.run / run_dir.WEIGHTS).stat().st_size,
        "diverged": summary.episodes if diverged else None,
        "distinct_tokens_last_100": summary.distinct_tokens_last_100,
        "returns": [round(value, 3) for value in episodes["return"]],
        "losses": [float(f"{loss:.4g}") if loss == loss else None for loss in _column(updates, "loss").astype(float)],
        "rollout_tokens": _column(updates, "distinct_tokens").tolist(),
        "held_out": _references(result.agent) if diverged else _all_rounded(summary.evaluation),
        "training_problems": summary.training_problems and _rounded(summary.training_problems),
        "without_masks": _without_masks(result.agent) if result.agent.uses_mask and not diverged else None,
        "start": start
        and {
            "settings": start.agent.settings.to_dict(),
            "training": start.summary.cost(read_record(start.run)),
        },
        "validations": [
            {"episodes": validation.episodes, "mean_return": round(validation.mean_return, 5)}
            for validation in summary.validations
        ],
        "head": head and head_numbers(head),
        "untrained": _untrained(result.agent),
        "planned": _planned(result.agent) if head and not head.depth else None,
        "on_validation": None if diverged else _on_validation(result.agent),
        "on_fast_messages": None if diverged else _on_fast_messages(result.agent),
    }
    return Row.model_validate(row)


def _column(updates: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of the updates; empty if there was no update, as in a training that diverged in the first."""
    return updates[name] if len(updates) else pd.Series(dtype=float)


def _references(agent: Agent) -> dict[str, Figures]:
    """Evaluate the reference policies on the held-out problems of the agent's settings."""
    evaluation = agent.settings.evaluation
    return _all_rounded(evaluate_references(agent.task, evaluation.split, range(evaluation.problems)))


def _without_masks(agent: Agent) -> Figures:
    """Evaluate the greedy policy of the agent on held-out problems without masks."""
    return _held_out(agent, Player(agent, masked=False))


def _untrained(agent: Agent) -> dict[str, Figures]:
    """Evaluate the policy with the random weights that the agent's seed gives, also if it started from others."""
    policy = build_learner(agent.settings, "cpu", agent.language).model.policy
    evaluation, untrained = agent.settings.evaluation, Agent(agent.settings, agent.dynamics, policy)
    scores = evaluate_agent(untrained, evaluation.split, range(evaluation.problems))
    return _all_rounded(scores)


def _planned(agent: Agent) -> Figures | None:
    """Evaluate the greedy policy of the agent with a plan of one step; None if observations do not reach that far."""
    if not agent.task.lookahead:
        return None
    return _held_out(agent, agent.with_plan(1).greedy)


def _on_validation(agent: Agent) -> dict[str, Figures]:
    """Evaluate the agent on validation problems."""
    return _all_rounded(evaluate_agent(agent, "validation", range(VALIDATION_PROBLEMS)))


def _on_fast_messages(agent: Agent) -> Figures | None:
    """Evaluate the greedy policy of the agent on the held-out messages of fast; None without a larger vocabulary."""
    fast = SIZES["fast"]
    if agent.task.vocab_size <= fast["vocab_size"]:
        return None
    return _held_out(agent, Player(agent, ranks=fast["vocab_size"]), dataclasses.replace(agent.task, **fast))


def _held_out(agent: Agent, player: Player, task: Task | None = None) -> Figures:
    """Evaluate a player on the held-out problems of a task, by default the agent's."""
    evaluation = agent.settings.evaluation
    held_out = with_split(task or agent.task, evaluation.split)
    return _rounded(score_policy(player, held_out, range(evaluation.problems)))


def _all_rounded(scores: Mapping[str, Scores]) -> dict[str, Figures]:
    return {name: _rounded(of_policy) for name, of_policy in scores.items()}


def _rounded(scores: Scores) -> Figures:
    """Round the figures of a policy to 5 decimals."""
    shares = tuple(None if share is None else round(share, 5) for share in scores.adequacy_by_rarity)
    means = {name: round(getattr(scores, name), 5) for name in Figures.model_fields if name != "adequacy_by_rarity"}
    return Figures(**means, adequacy_by_rarity=shares)
