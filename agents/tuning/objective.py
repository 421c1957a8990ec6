"""Turn trainings into an objective for Optuna: a search space, several seeds a trial, pruning along the curve.

A study that you own needs `search_space` and `objective` alone; `python -m agents.tune` runs one of its own.
"""

import dataclasses
import math
import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial
from stable_baselines3.common.callbacks import BaseCallback

from agents.algorithms.search_spaces import Between, OneOf, Space
from agents.algorithms.table import tunable, with_parameters
from agents.evaluation.agent import Agent
from agents.runs.weights import first_nonfinite
from agents.settings.schema import Settings
from agents.training.fit import train_in_memory
from agents.tuning.plan import TRIALS, seed_set
from agents.tuning.trials import SCORES
from token_env.episodes.evaluate import evaluate
from token_env.rules.task import held_out

EVALUATIONS = 10  # of a training, evenly spaced, the last one at its end
SCORED_EVALUATIONS = 3  # of them, whose mean says what the training was worth


def search_space(settings: Settings, parameters: Iterable[str] = ()) -> dict[str, BaseDistribution]:
    """What a study may change of this run, as Optuna's distributions, by name in the algorithm's section.

    Args:
        settings: where everything else comes from.
        parameters: these only; all if there are none.

    Raises:
        SettingError: an unknown algorithm or parameter.
    """
    return _distributions(tunable(settings, parameters))


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {name: _distribution(span) for name, span in space.items()}


def _distribution(span: Between | OneOf) -> BaseDistribution:
    if isinstance(span, OneOf):
        return CategoricalDistribution(span.choices)
    if isinstance(span.low, int) and isinstance(span.high, int):
        return IntDistribution(span.low, span.high, log=span.log)
    return FloatDistribution(span.low, span.high, log=span.log)


def own_parameters(settings: Settings, parameters: Iterable[str] = ()) -> dict[str, Any]:
    """The values that the settings themselves have, for `enqueue_trial`; those outside the search space are left out.

    Raises:
        SettingError: an unknown algorithm or parameter.
    """
    section = settings.hyperparameters
    known = search_space(settings, parameters)
    values = {name: getattr(section, name) for name in known}
    return {name: value for name, value in values.items() if _contains(known[name], value)}


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return bool(distribution.low <= value <= distribution.high)


def suggested(trial: Trial, settings: Settings, parameters: Iterable[str] = ()) -> Settings:
    """The settings with what Optuna suggests for this trial."""
    values: dict[str, Any] = {}
    for name, known in search_space(settings, parameters).items():
        if isinstance(known, CategoricalDistribution):
            values[name] = trial.suggest_categorical(name, known.choices)
        elif isinstance(known, IntDistribution):
            values[name] = trial.suggest_int(name, known.low, known.high, log=known.log)
        elif isinstance(known, FloatDistribution):
            values[name] = trial.suggest_float(name, known.low, known.high, log=known.log)
    return with_parameters(settings, values)


def objective(settings: Settings, seeds: int = 3, parameters: Iterable[str] = ()) -> Callable[[Trial], float]:
    """What a study maximises: the mean score on validation problems over several trainings.

    Each training is worth the mean of its last evaluations. After every evaluation the trial reports the mean of what
    its finished trainings were worth and the one in progress scores now, and may be pruned.

    Args:
        settings: the run, of which the algorithm's section is changed.
        seeds: trainings of a trial; their seeds are the same in every trial.
        parameters: that are changed; all of `search_space` if there are none.

    Raises:
        SettingError: an unknown algorithm or parameter, or no seeds.
    """
    chosen, listed = tuple(parameters), seed_set(TRIALS, seeds)
    tunable(settings, chosen)

    def mean_score(trial: Trial) -> float:
        return try_out(trial, suggested(trial, settings, chosen), listed)

    return mean_score


def try_out(trial: Trial, settings: Settings, seeds: Sequence[int]) -> float:
    """The mean worth of trainings with these settings and seeds; those that the trial has already are not repeated.

    Raises:
        TrialPruned: what is reported is not worth going on.
        FloatingPointError: weights or scores that are no numbers.
    """
    scores: list[float] = list(trial.user_attrs.get(SCORES, []))
    last_step = len(seeds) * EVALUATIONS
    for place in range(len(scores), len(seeds)):

        def report(evaluation: int, score: float, place: int = place) -> None:
            step = place * EVALUATIONS + evaluation
            report_once(trial, (sum(scores) + score) / (len(scores) + 1), step)
            if step < last_step and trial.should_prune():
                raise optuna.TrialPruned

        scores.append(train_and_score(settings.model_copy(update={"seed": seeds[place]}), report)[0])
        trial.set_user_attr(SCORES, scores)
    return float(np.mean(scores))


def report_once(trial: Trial, value: float, step: int) -> None:
    """Report a value; a trial that was begun again has told it already."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The reported value is ignored")
        trial.report(value, step)


def train_and_score(settings: Settings, report: Callable[[int, float], None]) -> tuple[float, Agent]:
    """What one training is worth, and its agent; `report` is told every evaluation, counted from 1, and its score.

    Raises:
        FloatingPointError: weights or scores that are no numbers.
    """
    values: list[float] = []

    def hear(score: float) -> None:
        values.append(score)
        report(len(values), score)

    agent = train_in_memory(settings, lambda learner: Curve(learner, hear))
    return float(np.mean(values[-SCORED_EVALUATIONS:])), agent


def score_on(agent: Agent, split: str) -> float:
    """The score of an agent on problems of a split, with its most probable tokens."""
    task = dataclasses.replace(held_out(agent.task, split), optimum=True)
    return evaluate(agent.greedy, range(agent.settings.evaluation.problems), task=task).score


class Curve(BaseCallback):
    """Evaluates the agent that learns on validation problems, with its most probable tokens, as often as told above.

    An evaluation draws no random numbers, so the training stays what it would have been.
    """

    def __init__(self, agent: Agent, hear: Callable[[float], None]) -> None:
        super().__init__()
        self._agent, self._hear = agent, hear
        self._done = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        settings = self._agent.settings
        share = self.num_timesteps / (settings.episodes * settings.env.max_steps)
        self._evaluate(min(int(share * EVALUATIONS), EVALUATIONS - 1))

    def _on_training_end(self) -> None:
        self._evaluate(EVALUATIONS)

    def _evaluate(self, due: int) -> None:
        """Make up for the evaluations that are due; those of one moment are one."""
        if due > self._done:
            score = self._score()
            for _ in range(due - self._done):
                self._done += 1
                self._hear(score)

    def _score(self) -> float:
        if first_nonfinite(dict(self._agent.policy.named_parameters())):
            raise FloatingPointError(f"weights are no numbers after {self.num_timesteps} steps")
        score = score_on(self._agent, "validation")
        if not math.isfinite(score):
            raise FloatingPointError(f"the score is {score} after {self.num_timesteps} steps")
        return score
