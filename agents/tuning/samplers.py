"""Make Optuna's samplers and pruners by name."""

import copy
import warnings
from collections.abc import Callable

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from agents.tuning.objective import EVALUATIONS
from token_env.errors import find

STARTUP_TRIALS = 5  # that end before others are pruned
WARMUP = 3  # evaluations before which nothing is pruned


class Latest(BasePruner):
    """Lets another pruner judge a trial by what it reported last, not by the best of all that it reported.

    A lucky first seed would otherwise keep a trial alive whatever the others do.
    """

    def __init__(self, judge: BasePruner) -> None:
        self._judge = judge

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether the trial is not worth going on."""
        step = trial.last_step
        if step is None:
            return False
        seen = copy.copy(trial)
        seen.intermediate_values = {step: trial.intermediate_values[step]}
        return self._judge.prune(study, seen)


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {  # of the study's seed, and of one for this trial
    "tpe": lambda _, seed: optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed),
    "gp": lambda _, seed: optuna.samplers.GPSampler(seed=seed),
    "qmc": lambda seed, _: optuna.samplers.QMCSampler(scramble=True, seed=seed),
    "random": lambda _, seed: optuna.samplers.RandomSampler(seed=seed),
}
PRUNERS: dict[str, Callable[[int], BasePruner]] = {  # of the steps that a trial reports
    "median": lambda _: Latest(optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP)),
    "percentile": lambda _: Latest(optuna.pruners.PercentilePruner(25.0, STARTUP_TRIALS, WARMUP)),
    "halving": lambda _: optuna.pruners.SuccessiveHalvingPruner(min_resource=WARMUP),
    "hyperband": lambda steps: optuna.pruners.HyperbandPruner(min_resource=WARMUP, max_resource=steps),
    "none": lambda _: optuna.pruners.NopPruner(),
}


def make_sampler(name: str, seed: int, number: int) -> BaseSampler:
    """The sampler of this name for one trial: a study of one seed suggests the same, whichever process asks.

    Raises:
        SettingError: an unknown name.
    """
    make = find("sampler", name, SAMPLERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return make(seed, int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def make_pruner(name: str, seeds: int) -> BasePruner:
    """The pruner of this name, for trials of so many seeds.

    Raises:
        SettingError: an unknown name.
    """
    return find("pruner", name, PRUNERS)(seeds * EVALUATIONS)
