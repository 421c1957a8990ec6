"""Define the constants of the task, with their names, defaults and limits."""

import dataclasses
import math
import operator
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from token_env.errors import SettingError, UnknownKeywordError, did_you_mean, shortened, unknown_name
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
    reward: str | RewardFunction = "dense"  # a name of `token_env.REWARDS` or a function of a Transition
    discount: float = 1.0  # γ of the potential reward; must equal the agent's discount
    adequacy_scale: float = 0.12  # α, factor of the adequacy
    fluency_scale: float = 0.7  # λ, factor of the fluency penalty, per nat
    surprisal_budget: float = 5.0  # τ, nats of surprisal without penalty
    mask_budget: float | None = None  # nats of surprisal above which a token is masked out; None = surprisal_budget
    optimum: bool = False  # whether to solve each problem, so that final infos hold the score

    def __post_init__(self) -> None:
        """Reject values outside their ranges."""
        _require_integer(self, "vocab_size", MIN_VOCAB)
        _require_integer(self, "max_steps", 1)
        _require_integer(self, "lookahead", 0)
        _require_integer(self, "language_seed", 0)
        if self.message_vocab is not None:
            _require_integer(self, "message_vocab", MIN_VOCAB, self.vocab_size)
        if self.num_problems is not None:
            _require_integer(self, "num_problems", 1, ENDLESS)
        for name in ("noise", "adequacy_scale", "fluency_scale", "surprisal_budget"):
            _require_number(self, name, 0.0, math.inf)
        _require_number(self, "discount", 0.0, 1.0)
        if self.mask_budget is not None:
            _require_number(self, "mask_budget", 0.0, math.inf)
        if not isinstance(self.optimum, bool):
            raise SettingError(f"optimum is True or False, {self.optimum!r} was given.")
        find_reward(self.reward)
        if not isinstance(self.language, (str, Language)):
            raise SettingError(
                f"language is a name or a Language, {shortened(self.language)} was given; type language='english'."
            )
        if self.split not in SPLITS:
            raise unknown_name("split", self.split, SPLITS)
        if self.observation not in OBSERVATIONS:
            raise unknown_name("observation", self.observation, OBSERVATIONS)
        if self.observation == "tokens" and find_reward(self.reward).accrued:
            raise SettingError(
                f"observation='tokens' has no place for what the reward {self.reward!r} has accrued, which the agent "
                "must see; type observation='features' or reward='dense'."
            )


def _require_integer(task: Task, name: str, least: int, most: int | None = None) -> None:
    value = getattr(task, name)
    if isinstance(value, (bool, np.bool_)) or not hasattr(value, "__index__"):
        raise SettingError(
            f"{name} is an integer, {shortened(value)} was given; type {name}={Task.__dict__.get(name)}, say."
        )
    if value < least or (most is not None and value > most):
        allowed = f"at least {least}" if most is None else f"from {least} to {most}"
        raise SettingError(f"{name} is {value}; it must be {allowed}.")
    object.__setattr__(task, name, operator.index(value))  # NumPy's integers become Python's


def _require_number(task: Task, name: str, least: float, most: float) -> None:
    value = getattr(task, name)
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


def make_task(**keywords: Any) -> Task:
    """Build a task from keywords, as `gymnasium.make` passes them.

    Raises:
        UnknownKeywordError: An unknown keyword; a SettingError and a TypeError.
        SettingError: A value that is not allowed.
    """
    known = [field.name for field in fields(Task)]
    for name in keywords:
        if name not in known:
            # Python's words, by which a caller such as torchrl recognises a keyword that it can leave out
            raise UnknownKeywordError(
                f"unexpected keyword argument {name!r}.{did_you_mean(name, known)} Known: {', '.join(known)}."
            )
    return Task(**keywords)


def with_split(task: Task, split: str) -> Task:
    """Return the same task on all problems of another split."""
    return dataclasses.replace(task, split=split, num_problems=None)
