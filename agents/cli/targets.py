"""Load the targets of a command: agents from run directories, or the task of reference policies."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agents.evaluation.agent import Agent
from agents.runs.model_files import load
from agents.settings.layers import DEFAULT_SIZE, assignment_layer, make_settings, merge_layers, preset_layer
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, did_you_mean
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task

# Constants of the task that a trained agent can play with other values than those it was trained with.
RUN_CONSTANTS = (
    "max_steps", "message_vocab", "noise", "adequacy_scale", "fluency_scale", "surprisal_budget", "mask_budget",
)  # fmt: skip
PLAN_HELP = "let a run that was trained with policy.head=planning or tied plan this number of steps ahead; 0: no plan"
REFERENCE_CONSTANTS = ("vocab_size", "language_seed", "lookahead", *RUN_CONSTANTS)


def constants_layer(assignments: Sequence[str], allowed: Sequence[str], policy: str) -> dict[str, Any]:
    """Return a layer of settings from `--set`, which changes only constants of the task that the policy can play.

    Args:
        assignments: Values of --set.
        allowed: Names of the constants that may change.
        policy: Noun phrase for the policy, for the error message.

    Raises:
        SettingError: An assignment cannot be read, or changes something else.
    """
    layer: dict[str, Any] = {}
    for assignment in assignments:
        layer = merge_layers(layer, assignment_layer(assignment))
    env = layer.get("env", {})
    others = [name for name in layer if name != "env"]
    others += [f"env.{name}" for name in env if name not in allowed] if isinstance(env, Mapping) else ["env"]
    if others:
        names = ", ".join(f"env.{name}" for name in allowed)
        raise SettingError(f"--set cannot change {', '.join(others)} for {policy}; it changes {names}.")
    return layer


def reference_task(size: str | None, language: str | None, assignments: Sequence[str] = ()) -> Task:
    """Return the task for reference policies: the size of a preset, and a language; None selects the defaults.

    Args:
        size: Name of the size.
        language: Name of the language.
        assignments: The command's --set.

    Raises:
        SettingError: The size or language is unknown, or --set cannot be used.
    """
    layers = [preset_layer(DEFAULT_SIZE if size is None else size)]
    layers += [{"env": {"language": language}}] if language else []
    return make_settings(*layers, constants_layer(assignments, REFERENCE_CONSTANTS, "a reference policy")).env


def with_constants(agent: Agent, assignments: Sequence[str]) -> Agent:
    """Return the agent in its task with other constants, those of the command's --set.

    Raises:
        SettingError: --set cannot be used.
    """
    layer = constants_layer(assignments, RUN_CONSTANTS, "a run")
    if not layer:
        return agent
    env = make_settings(agent.settings.to_dict(), layer).env
    changes = {name: getattr(env, name) for name in layer["env"]}
    changed = Agent(agent.settings, Dynamics(dataclasses.replace(agent.task, **changes)), agent.policy)
    return changed.with_plan(agent.plan_depth) if agent.plans else changed  # plans avoid what the task's masks forbid


def with_plans(agents: Sequence[Agent], targets: Sequence[str], depth: int | None) -> list[Agent]:
    """Return the agents with the command's --plan; None leaves them as they are.

    Raises:
        SettingError: An agent cannot plan so far.
    """
    if depth is None:
        return list(agents)
    planned = []
    for agent, target in zip(agents, targets, strict=True):
        try:
            planned.append(agent.with_plan(depth))
        except SettingError as error:
            raise SettingError(f"--plan {depth} does not fit {target!r}: {error}") from None
    return planned


def load_runs(
    targets: Sequence[str],
    size: str | None,
    language: str | None,
    max_runs: int,
    advice: str,
    assignments: Sequence[str] = (),
) -> list[Agent]:
    """Load the trained agents of these runs.

    Args:
        targets: Directories of the runs.
        size: The command's --size; must be None, since a run has its own size.
        language: The command's --language; must be None, since a run has its own language.
        max_runs: Largest number of runs that the command accepts.
        advice: Words that say what to type, for error messages.
        assignments: The command's --set, which changes constants of the task that the agents play.

    Raises:
        SettingError: A target is not the directory of a finished run, there are too many, size or language is set, or
            --set cannot be used.
    """
    missing = [target for target in targets if not Path(target).is_dir()]
    unknown = [target for target in missing if target not in REFERENCES]
    if unknown:
        raise SettingError(
            f"{unknown[0]!r} is no directory of a run; type {advice}.{did_you_mean(unknown[0], REFERENCES)}"
        )
    if missing:
        raise SettingError(f"{missing[0]!r} is a reference policy, not a run; type {advice}.")
    if len(targets) > max_runs:
        raise SettingError(f"{len(targets)} runs were named; type {advice}.")
    if size or language:
        raise SettingError("a run has its own size and language; leave out --size and --language.")
    return [with_constants(load(target), assignments) for target in targets]
