"""Define the constants of the task, with their names, defaults and limits."""

import dataclasses
import math
import operator
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar

import numpy as np

from token_env.errors import SettingError, UnknownKeywordError, check_all, did_you_mean, shortened, unknown_name
from token_env.languages.language import MIN_VOCAB, Language
from token_env.rules.problems import ENDLESS, SPLITS
from token_env.rules.rewards import RewardFunction, find_reward

OBSERVATIONS = ("features", "tokens")


@dataclass(frozen=True)
class Task:
    """The constants of a token task; the keywords of `gym.make("TokenTask-v0", …)`.

    Raises:
        SettingError: A value outside its range, or an unknown name.
    """

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid", "arbitrary_types_allowed": True}

    vocab_size: int = 1000  # V, number of tokens that the agent can say
    max_steps: int = 30  # L, number of tokens of a message and steps of an episode
    message_vocab: int | None = None  # number of tokens that messages use, the most frequent ones; None = vocab_size
    language: str | Language = "synthetic"  # "synthetic", "english", "text:PATH" or a Language
    language_seed: int = 0  # seed of the synthetic language
    split: str = "train"  # "train", "validation" or "test"
    num_problems: int | None = None  # number of problems, the first ids of the split; None = all
    noise: float = 0.3  # σ, jitter of the meanings relative to their length
    lookahead: int = 1  # k, number of observed meanings after the one that is due
    observation: str = "features"  # "features" or "tokens"
    reward: str | RewardFunction = "dense"  # a name of `REWARDS`, MODULE:FUNCTION, or a function of a Transition
    discount: float = 1.0  # γ of the potential reward; must equal the agent's discount
    adequacy_scale: float = 0.12  # α, factor of the adequacy
    fluency_scale: float = 0.7  # λ, factor of the fluency penalty, per nat
    surprisal_budget: float = 5.0  # τ, nats of surprisal without penalty
    mask_budget: float | None = None  # nats of surprisal above which a token is masked out; None = surprisal_budget
    optimum: bool = False  # whether to solve each problem, so that final infos hold the score

    def __post_init__(self) -> None:
        """Reject all values outside their ranges at once, then values that do not fit together."""
        check_all(
            lambda: _require_integer(self, "vocab_size", MIN_VOCAB),
            lambda: _require_integer(self, "max_steps", 1),
            lambda: _require_integer(self, "message_vocab", MIN_VOCAB, optional=True),
            lambda: _require_language(self),
            lambda: _require_integer(self, "language_seed", 0),
            lambda: _require_one_of(self, "split", SPLITS),
            lambda: _require_integer(self, "num_problems", 1, ENDLESS, optional=True),
            lambda: _require_number(self, "noise", 0.0, math.inf),
            lambda: _require_integer(self, "lookahead", 0),
            lambda: _require_one_of(self, "observation", OBSERVATIONS),
            lambda: find_reward(self.reward),
            lambda: _require_number(self, "discount", 0.0, 1.0),
            lambda: _require_number(self, "adequacy_scale", 0.0, math.inf),
            lambda: _require_number(self, "fluency_scale", 0.0, math.inf),
            lambda: _require_number(self, "surprisal_budget", 0.0, math.inf),
            lambda: _require_number(self, "mask_budget", 0.0, math.inf, optional=True),
            lambda: _require_bool(self, "optimum"),
        )
        check_all(
            lambda: _require_integer(self, "message_vocab", MIN_VOCAB, self.vocab_size, optional=True),
            lambda: _require_place_for_accrued(self),
        )


def _require_integer(task: Task, name: str, least: int, most: int | None = None, optional: bool = False) -> None:
    value = getattr(task, name)
    if value is None and optional:
        return
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise SettingError(
            f"{name} is an integer, {shortened(value)} was given; type {name}={Task.__dict__.get(name)}, say."
        )
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise SettingError(f"{name} is {value}; it must be {allowed}.")
    object.__setattr__(task, name, operator.index(value))  # NumPy's integers become Python's


def _require_number(task: Task, name: str, least: float, most: float, optional: bool = False) -> None:
    value = getattr(task, name)
    if value is None and optional:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float, np.integer, np.floating))
        or not math.isfinite(value)
    ):
        raise SettingError(
            f"{name} is a finite number, {shortened(value)} was given; type {name}={Task.__dict__.get(name)}."
        )
    if not least <= value <= most:
        allowed = f"at least {least:g}" if math.isinf(most) else f"from {least:g} to {most:g}"
        raise SettingError(f"{name} is {value}; it must be {allowed}.")
    object.__setattr__(task, name, float(value))


def _require_bool(task: Task, name: str) -> None:
    value = getattr(task, name)
    if not isinstance(value, bool):
        raise SettingError(f"{name} is True or False, {value!r} was given.")


def _require_one_of(task: Task, name: str, known: Iterable[str]) -> None:
    if getattr(task, name) not in known:
        raise unknown_name(name, getattr(task, name), known)


def _require_language(task: Task) -> None:
    if not isinstance(task.language, (str, Language)):
        raise SettingError(
            f"language is a name or a Language, {shortened(task.language)} was given; type language='english'."
        )


def _require_place_for_accrued(task: Task) -> None:
    if task.observation == "tokens" and find_reward(task.reward).accrued:
        raise SettingError(
            f"observation='tokens' has no place for what the reward {task.reward!r} has accrued, which the agent "
            "must see; type observation='features' or reward='dense'."
        )


def make_task(**keywords: Any) -> Task:
    """Build a task from keywords, as `gymnasium.make` passes them.

    Raises:
        UnknownKeywordError: An unknown keyword; a SettingError and a TypeError.
        SettingError: A value that is not allowed.
    """
    known = {field.name: keywords[field.name] for field in fields(Task) if field.name in keywords}
    check_all(*(partial(_reject, name) for name in keywords if name not in known), lambda: Task(**known))
    return Task(**known)


def _reject(name: str) -> None:
    known = [field.name for field in fields(Task)]
    # Python's words, by which a caller such as torchrl recognises a keyword that it can leave out
    raise UnknownKeywordError(
        f"unexpected keyword argument {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
    )


def with_split(task: Task, split: str) -> Task:
    """Return the same task on all problems of another split."""
    return dataclasses.replace(task, split=split, num_problems=None)
