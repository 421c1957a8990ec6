"""Describe a result: what one run of a case was made with, and what was measured, from which every metric follows."""

from collections.abc import Iterable
from typing import Literal

from pydantic import model_validator

from agents.evaluation.scores import GREEDY, SAMPLED, Figures
from agents.runs.summary import Machine, TrainingCost
from agents.settings.schema import Frozen, Settings

FORMAT = 1
# That every row tells of, on held-out problems; what policies that plan earn follows from the settings alone.
POLICIES = {GREEDY, SAMPLED, "random", "fluent", "verbatim", "greedy"}


class Start(Frozen):
    """The run whose weights another one began with, made in the same process before it."""

    settings: Settings
    training: TrainingCost


class Row(Frozen):
    """One run of a case: how it was made, and what was measured, from which every metric follows."""

    format: Literal[1]
    case: str
    seed: int
    started: str
    revision: str | None
    versions: dict[str, str]
    machine: Machine
    settings: Settings
    language: str  # fingerprint
    training: TrainingCost
    policy_bytes: int  # of its parameters
    file_bytes: int  # of the saved weights
    distinct_tokens_last_100: int
    returns: tuple[float, ...]  # of every episode, to 0.001
    losses: tuple[float | None, ...]  # of every update; None where it was not finite
    rollout_tokens: tuple[int, ...]  # distinct tokens said in the rollout of every update
    held_out: dict[str, Figures]  # the agent and the reference policies, by name
    training_problems: Figures  # the agent on problems it was trained on
    without_masks: Figures | None = None  # on held-out problems, an agent that was trained with masks; the others None
    start: Start | None = None  # of a run that began with another's weights

    @model_validator(mode="after")
    def _whole(self) -> "Row":
        if self.seed != self.settings.seed:
            raise ValueError(f"its seed is {self.seed}, that of its settings {self.settings.seed}")
        if self.start and self.start.settings.seed != self.seed:
            raise ValueError(f"its seed is {self.seed}, that of its start {self.start.settings.seed}")
        if len(self.returns) != self.settings.episodes:
            raise ValueError(f"it has the returns of {len(self.returns)} of {self.settings.episodes} episodes")
        if missing := POLICIES - set(self.held_out):
            raise ValueError(f"held_out has nothing of {', '.join(sorted(missing))}")
        return self


def compared_versions(versions: dict[str, str]) -> frozenset[tuple[str, str]]:
    """The versions that must be alike for rows to stand in one table: of Python without its last number."""
    python = ".".join(versions.get("python", "").split(".")[:2])
    return frozenset({**versions, "python": python}.items())


def versions_text(versions: Iterable[tuple[str, str]]) -> str:
    """Versions in words: `numpy 2.4.6, torch 2.13.0`."""
    return ", ".join(f"{name} {number}" for name, number in sorted(versions))
