"""Describe what a benchmark runs: a case is settings under a name, a benchmark the cases that stand side by side."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from agents.algorithms.budget import nearest_multiple
from agents.settings.layers import make_settings
from agents.settings.schema import Settings
from agents.training.build import resolve_settings
from token_env.errors import find


class Case(NamedTuple):
    """One column of a table: a size and which settings it is trained with."""

    size: str
    variant: str
    layer: Mapping[str, Any]  # its settings, as a settings file holds them
    start: Mapping[str, Any] | None = None  # of the run whose weights it begins with, trained for it; None: of none
    most_seeds: int | None = None  # runs that are made of it at most; None: as many as are asked for

    @property
    def name(self) -> str:
        """How results and the command line call it, such as `fast/preset`."""
        return f"{self.size}/{self.variant}"

    def settings(self, seed: int) -> Settings:
        """Everything that the run of this seed depends on, but for the weights it begins with."""
        return resolve_settings(make_settings(self.layer, {"seed": seed}))

    def start_settings(self, seed: int) -> Settings | None:
        """The same of the run whose weights it begins with, if there is one."""
        return None if self.start is None else resolve_settings(make_settings(self.start, {"seed": seed}))

    def seeds(self, asked: int) -> range:
        """The seeds of its runs where so many are asked for."""
        return range(asked if self.most_seeds is None else min(asked, self.most_seeds))


class Benchmark(NamedTuple):
    """Cases that are measured together and stand side by side in one table."""

    title: str
    cases: tuple[Case, ...]
    contest: tuple[str, str]  # the two cases whose rows have a winner

    def find_case(self, name: str) -> Case:
        """The case of this name.

        Raises:
            SettingError: an unknown name.
        """
        return find("case", name, {case.name: case for case in self.cases})


def shortened(layer: Mapping[str, Any], most_episodes: int | None) -> dict[str, Any]:
    """The same settings for about so many episodes at most, in whole rollouts."""
    settings = make_settings(layer)
    section = settings.hyperparameters
    rollout = section.n_envs * section.n_steps // settings.env.max_steps
    return {**layer, "episodes": nearest_multiple(min(settings.episodes, most_episodes or settings.episodes), rollout)}
