"""Define the objective that Optuna maximises: a search space, several seeds per trial, pruning after each evaluation.

Your own Optuna study needs only `search_space` and `objective`; `python -m agents.tune` manages a whole study.
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

from agents.algorithms.search_spaces import Choice, Range, Space
from agents.algorithms.table import tunable_parameters, with_parameters
from agents.evaluation.agent import Agent
from agents.runs.weights import first_nonfinite
from agents.settings.schema import Settings
from agents.training.fit import train_in_memory
from agents.tuning.plan import TRIALS, seed_set
from agents.tuning.trials import SCORES
from token_env.episodes.evaluate import evaluate
from token_env.rules.task import with_split

EVALUATIONS = 10  # evaluations per training, evenly spaced, the last one at its end
SCORED_EVALUATIONS = 3  # a training's score is the mean of its last evaluations


def search_space(settings: Settings, parameters: Iterable[str] = ()) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of each tunable parameter, by its name in the algorithm's section.

    Args:
        settings: Settings of the run to tune.
        parameters: Names of the parameters to include; empty for all.

    Raises:
        SettingError: Unknown algorithm or parameter.
    """
    return _distributions(tunable_parameters(settings, parameters))


def _distributions(space: Space) -> dict[str, BaseDistribution]:
    return {name: _distribution(domain) for name, domain in space.items()}


def _distribution(domain: Range | Choice) -> BaseDistribution:
    if isinstance(domain, Choice):
        return CategoricalDistribution(domain.choices)
    if isinstance(domain.low, int) and isinstance(domain.high, int):
        return IntDistribution(domain.low, domain.high, log=domain.log)
    return FloatDistribution(domain.low, domain.high, log=domain.log)


def own_parameters(settings: Settings, parameters: Iterable[str] = ()) -> dict[str, Any]:
    """Return the settings' own values of the tunable parameters, for `enqueue_trial`, without out-of-range values.

    Raises:
        SettingError: Unknown algorithm or parameter.
    """
    section = settings.hyperparameters
    space = search_space(settings, parameters)
    values = {name: getattr(section, name) for name in space}
    return {name: value for name, value in values.items() if _contains(space[name], value)}


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    return bool(distribution.low <= value <= distribution.high)


def suggested(trial: Trial, settings: Settings, parameters: Iterable[str] = ()) -> Settings:
    """Return the settings with the parameter values that Optuna suggests for this trial.

    Raises:
        SettingError: Unknown algorithm or parameter.
    """
    values: dict[str, Any] = {}
    for name, domain in search_space(settings, parameters).items():
        if isinstance(domain, CategoricalDistribution):
            values[name] = trial.suggest_categorical(name, domain.choices)
        elif isinstance(domain, IntDistribution):
            values[name] = trial.suggest_int(name, domain.low, domain.high, log=domain.log)
        elif isinstance(domain, FloatDistribution):
            values[name] = trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    return with_parameters(settings, values)


def objective(settings: Settings, seeds: int = 3, parameters: Iterable[str] = ()) -> Callable[[Trial], float]:
    """Return the objective of a study: the mean validation score over several trainings.

    The score of a training is the mean of its last evaluations. After every evaluation the trial reports the mean over
    the scores of its finished trainings and the current evaluation of the running one; then it may be pruned.

    Args:
        settings: Settings of the run; a trial changes only the algorithm's section.
        seeds: Number of trainings per trial; every trial uses the same seeds.
        parameters: Names of the parameters to change; empty for the whole `search_space`.

    Raises:
        SettingError: Unknown algorithm or parameter, or a number of seeds out of range.
    """
    names, training_seeds = tuple(parameters), seed_set(TRIALS, seeds)
    tunable_parameters(settings, names)

    def mean_score(trial: Trial) -> float:
        return try_out(trial, suggested(trial, settings, names), training_seeds)

    return mean_score


def try_out(trial: Trial, settings: Settings, seeds: Sequence[int]) -> float:
    """Train once per seed and return the mean score; trainings that the trial has finished before are not repeated.

    Raises:
        TrialPruned: The pruner stops the trial.
        FloatingPointError: Weights or scores are not finite.
    """
    scores: list[float] = list(trial.user_attrs.get(SCORES, []))
    last_step = len(seeds) * EVALUATIONS
    for index in range(len(scores), len(seeds)):

        def report(evaluation: int, score: float, index: int = index) -> None:
            step = index * EVALUATIONS + evaluation
            report_value(trial, (sum(scores) + score) / (len(scores) + 1), step)
            if step < last_step and trial.should_prune():
                raise optuna.TrialPruned

        scores.append(train_and_score(settings.model_copy(update={"seed": seeds[index]}), report)[0])
        trial.set_user_attr(SCORES, scores)
    return float(np.mean(scores))


def report_value(trial: Trial, value: float, step: int) -> None:
    """Report a value, silently keeping the first one where a restarted trial has reported this step before."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The reported value is ignored")
        trial.report(value, step)


def train_and_score(settings: Settings, report: Callable[[int, float], None]) -> tuple[float, Agent]:
    """Train once and return the training's score and its agent.

    Args:
        settings: Settings of the run.
        report: Function that takes the number of an evaluation, counted from 1, and its score.

    Raises:
        FloatingPointError: Weights or scores are not finite.
    """
    scores: list[float] = []

    def add_score(score: float) -> None:
        scores.append(score)
        report(len(scores), score)

    agent = train_in_memory(settings, lambda learner: ValidationCallback(learner, add_score))
    return float(np.mean(scores[-SCORED_EVALUATIONS:])), agent


def score_on(agent: Agent, split: str) -> float:
    """Return the agent's score on the problems of a split, playing its most probable tokens."""
    task = dataclasses.replace(with_split(agent.task, split), optimum=True)
    return evaluate(agent.greedy, range(agent.settings.evaluation.problems), task=task).score


class ValidationCallback(BaseCallback):
    """Evaluate the learning agent on validation problems, `EVALUATIONS` times per training.

    An evaluation draws no random numbers, so it does not change the training.

    Args:
        agent: The learning agent.
        add_score: Function that takes the score of each evaluation.
    """

    def __init__(self, agent: Agent, add_score: Callable[[float], None]) -> None:
        super().__init__()
        self._agent, self._add_score = agent, add_score
        self._evaluations = 0

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        settings = self._agent.settings
        progress = self.num_timesteps / (settings.episodes * settings.env.max_steps)
        self._evaluate(min(int(progress * EVALUATIONS), EVALUATIONS - 1))

    def _on_training_end(self) -> None:
        self._evaluate(EVALUATIONS)

    def _evaluate(self, due: int) -> None:
        """Evaluate once if evaluations are due, and add that score for each of them."""
        if due > self._evaluations:
            score = self._score()
            for _ in range(due - self._evaluations):
                self._evaluations += 1
                self._add_score(score)

    def _score(self) -> float:
        if first_nonfinite({name: weights.detach() for name, weights in self._agent.policy.named_parameters()}):
            raise FloatingPointError(f"weights are not finite after {self.num_timesteps} steps")
        score = score_on(self._agent, "validation")
        if not math.isfinite(score):
            raise FloatingPointError(f"the score is {score} after {self.num_timesteps} steps")
        return score
