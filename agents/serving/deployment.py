"""Deploy one model, or two that share the requests: their common task, and which of them answers a request."""

import dataclasses
import hashlib
from functools import lru_cache
from typing import Literal, NamedTuple

from agents.serving.model import Model
from token_env.errors import SettingError
from token_env.languages.find import find_language
from token_env.rules.dynamics import Dynamics
from token_env.rules.task import Task, make_task

Variant = Literal["A", "B"]


class Split(NamedTuple):
    """How the requests are shared."""

    share_b: float = 0.0  # share of the requests that B answers, from 0 to 1
    shadow: bool = False  # whether B answers a copy of every request, which is logged and never returned


class Deployment:
    """Model A, and perhaps B, in the task of the smaller vocabulary. A deployment never changes.

    Args:
        a: Model A.
        b: Model B; None if A answers everything.
        split: How the requests are shared.

    Raises:
        SettingError: The share is out of range or there is no B for it, or languages or observations differ.
    """

    def __init__(self, a: Model, b: Model | None = None, split: Split | None = None) -> None:
        self.split = split or Split()
        check_split(self.split, b is not None)
        self.models: dict[Variant, Model] = {"A": a} if b is None else {"A": a, "B": b}
        self.task = _shared_task(list(self.models.values()))
        self.dynamics = Dynamics(self.task)
        self.experiment = "/".join(model.checksum for model in self.models.values())  # new models get a new split
        self._dynamics_of_length = lru_cache(maxsize=None)(self._make_dynamics)

    def variant_of(self, request: str) -> Variant:
        """Return the variant that answers a request, by its id."""
        return variant_of(request, self.split.share_b, self.experiment)

    def dynamics_of_length(self, length: int) -> Dynamics:
        """Return the rules for messages of this number of words, at most those of the task."""
        return self._dynamics_of_length(length)

    def _make_dynamics(self, length: int) -> Dynamics:
        return Dynamics(dataclasses.replace(self.task, max_steps=length, language=self.dynamics.language))


def variant_of(request: str, share_b: float, experiment: str) -> Variant:
    """Return the variant that answers a request: the same in every process, independent across experiments.

    A larger share for B moves requests from A to B and none from B to A.

    Args:
        request: Id of the request.
        share_b: Share of the requests for variant B, from 0 to 1.
        experiment: Id of the experiment.
    """
    digest = hashlib.blake2b(f"{experiment}/{request}".encode(), digest_size=8).digest()
    return "B" if int.from_bytes(digest, "big") < share_b * 2**64 else "A"


def check_split(split: Split, has_b: bool) -> None:
    """Reject a split that the models cannot serve.

    Raises:
        SettingError: The share is out of range, there is no model B for it, or B both answers and shadows.
    """
    if not 0 <= split.share_b <= 1:
        raise SettingError(f"share_b is {split.share_b:g}; it must be from 0 to 1.")
    if (split.share_b or split.shadow) and not has_b:
        raise SettingError("there is no model B to answer a share of the requests; load a model as B first.")
    if split.share_b and split.shadow:
        raise SettingError("B answers a share of the requests, or all of them in its shadow, but not both.")


def _shared_task(models: list[Model]) -> Task:
    """Return the task of the smaller vocabulary, on the test split."""
    by_size = sorted(models, key=lambda model: model.vocab_size)
    small, large = by_size[0], by_size[-1]
    keywords = small.keywords | {"split": "test", "num_problems": None, "optimum": False}
    if ":" in keywords["reward"]:  # a function of the user who trained; returns need no rewards
        keywords["reward"] = "dense"
    language = find_language(large.keywords["language"], large.vocab_size, large.keywords["language_seed"])
    shared = language.truncate(small.vocab_size)
    same = [(model.columns, model.dtype) for model in models]
    if small.language != shared.fingerprint or large.language != language.fingerprint or same[0] != same[-1]:
        raise SettingError("the models have different languages or different observations.")
    return make_task(**keywords | {"language": shared})
