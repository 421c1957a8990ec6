"""Define the types of the suite: a case is a named set of settings, a benchmark is a group of cases."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from agents.algorithms.budget import nearest_multiple
from agents.policies import tied_head
from agents.settings.layers import make_settings, merge_layers, read_layer
from agents.settings.schema import Settings
from agents.training.build import resolve_settings
from token_env.errors import find


class Case(NamedTuple):
    """One column of a results table: a size, trained with one variant of the settings."""

    size: str
    variant: str
    layer: Mapping[str, Any]  # the settings, in the form of a settings file
    start: Mapping[str, Any] | None = (
        None  # settings of the run that supplies the initial weights; None: random weights
    )
    max_seeds: int | None = None  # largest number of runs; None: no limit
    constants: Mapping[str, Any] | None = (
        None  # replaced constants of `agents.policies.tied_head`, which are no settings
    )

    @property
    def name(self) -> str:
        """Name in results and on the command line, such as `fast/preset`."""
        return f"{self.size}/{self.variant}"

    def settings(self, seed: int) -> Settings:
        """Return the complete settings of the run with this seed."""
        return resolve_settings(make_settings(self.layer, {"seed": seed}))

    def start_settings(self, seed: int) -> Settings | None:
        """Return the complete settings of the run that supplies the initial weights, or None."""
        return None if self.start is None else resolve_settings(make_settings(self.start, {"seed": seed}))

    def seeds(self, count: int) -> range:
        """Return the first `count` seeds, at most `max_seeds`."""
        return range(count if self.max_seeds is None else min(count, self.max_seeds))

    @contextmanager
    def constants_in_use(self) -> Iterator[None]:
        """Replace the constants of the tied head by those of this case; a module is shared by the whole process."""
        with ExitStack() as stack:
            for name, value in (self.constants or {}).items():
                stack.enter_context(patch.object(tied_head, name, value))
            yield


class Benchmark(NamedTuple):
    """Cases that are run together and shown in one table."""

    title: str
    cases: tuple[Case, ...]
    compared_cases: tuple[str, str]  # names of the two cases that the table compares

    def find_case(self, name: str) -> Case:
        """Return the case with this name.

        Raises:
            SettingError: If there is no such case.
        """
        return find("case", name, {case.name: case for case in self.cases})


def plain_preset(size: str) -> dict[str, Any]:
    """Return the settings that were chosen for plain logits, with them: those of version 0.1."""
    return merge_layers(read_layer(f"tied/{size}"), {"policy": {"head": "fast"}})


def shortened(layer: Mapping[str, Any], max_episodes: int | None) -> dict[str, Any]:
    """Return a copy of the settings with at most about `max_episodes` episodes, rounded to whole rollouts."""
    settings = make_settings(layer)
    section = settings.hyperparameters
    rollout_episodes = section.n_envs * section.n_steps // settings.env.max_steps
    episodes = min(settings.episodes, max_episodes or settings.episodes)
    return {**layer, "episodes": nearest_multiple(episodes, rollout_episodes)}
