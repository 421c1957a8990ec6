"""Define the stored result of one run: its configuration and its measurements."""

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, model_validator

from agents.evaluation.scores import GREEDY, SAMPLED, Figures
from agents.machine.provenance import DIRTY
from agents.runs.summary import Machine, TrainingCost, ValidationScore
from agents.settings.schema import Frozen, Settings
from benchmarks.measures.head_numbers import HeadNumbers

FORMAT = 1
# Policies that a row evaluates; planning policies are not stored, since their returns follow from the settings.
AGENT, REFERENCES = {GREEDY, SAMPLED}, {"random", "fluent", "verbatim", "greedy"}


class Start(Frozen):
    """The run that supplied the initial weights; it is trained first, in the same process."""

    settings: Settings
    training: TrainingCost


class Row(Frozen):
    """The result of one run of a case; all metrics are computed from it."""

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
    policy_bytes: int  # size of the parameters
    file_bytes: int | None  # size of the weights file; None if the run diverged, which saves none
    distinct_tokens_last_100: int  # in the last 100 training episodes
    diverged: int | None = Field(None, ge=0)  # number of episodes after which the training diverged; None: it did not
    returns: tuple[float, ...]  # [episodes] rounded to 0.001; those before it diverged
    losses: tuple[float | None, ...]  # [updates] None if not finite
    rollout_tokens: tuple[int, ...]  # [updates] number of distinct tokens in the rollout
    # By policy: the agent, unless it diverged, and the reference policies on held-out problems.
    held_out: dict[str, Figures]
    training_problems: Figures | None  # the agent on its last training problems; None if it diverged
    without_masks: Figures | None = None  # the agent without masks on held-out problems; None if trained without
    start: Start | None = None  # None: random initial weights
    validations: tuple[ValidationScore, ...] = ()  # greedy returns on validation problems during the training
    head: HeadNumbers | None = None  # numbers of the tied head; None: another head, or an older row
    untrained: dict[str, Figures] | None = None  # the policy with random weights; None: an older row
    planned: Figures | None = None  # the agent on held-out problems with a plan that it was trained without
    on_validation: dict[str, Figures] | None = None  # the agent on validation problems; None: diverged, or an older row
    # The greedy agent, its vocabulary cut to fast's, on fast's held-out messages; None: no larger vocabulary, diverged,
    # or an older row.
    on_fast_messages: Figures | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> "Row":
        if self.seed != self.settings.seed:
            raise ValueError(f"its seed is {self.seed}, that of its settings {self.settings.seed}")
        if self.start and self.start.settings.seed != self.seed:
            raise ValueError(f"its seed is {self.seed}, that of its start {self.start.settings.seed}")
        played = self.settings.episodes if self.diverged is None else self.diverged
        if len(self.returns) != played or played > self.settings.episodes:
            raise ValueError(f"it has the returns of {len(self.returns)} of {played} episodes")
        expected = REFERENCES if self.diverged is not None else AGENT | REFERENCES
        if missing := expected - set(self.held_out):
            raise ValueError(f"held_out lacks {', '.join(sorted(missing))}")
        if self.diverged is not None and (AGENT & set(self.held_out) or self.training_problems):
            raise ValueError("it diverged, but its agent was evaluated")
        if self.diverged is None and not self.training_problems:
            raise ValueError("it lacks training_problems")
        return self

    @property
    def is_dirty(self) -> bool:
        """Whether the code of this run differed from its revision."""
        return (self.revision or "").endswith(DIRTY)


def compared_versions(versions: dict[str, str]) -> frozenset[tuple[str, str]]:
    """Return the versions that rows of one table must share; the patch number of Python is dropped."""
    python = ".".join(versions.get("python", "").split(".")[:2])
    return frozenset({**versions, "python": python}.items())


def versions_text(versions: Iterable[tuple[str, str]]) -> str:
    """Format versions as text: `numpy 2.4.6, torch 2.13.0`."""
    return ", ".join(f"{name} {number}" for name, number in sorted(versions))
