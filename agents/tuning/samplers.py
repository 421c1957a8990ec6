"""Build Optuna's samplers and pruners by name."""

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

STARTUP_TRIALS = 5  # trials that finish before any trial may be pruned
WARMUP_EVALUATIONS = 3  # evaluations of a trial before it may be pruned


class LatestValuePruner(BasePruner):
    """Apply another pruner to the latest reported value of a trial instead of its best one.

    Otherwise a lucky first seed would protect a trial from pruning for good.
    """

    def __init__(self, pruner: BasePruner) -> None:
        self._pruner = pruner

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Return whether the trial should stop."""
        step = trial.last_step
        if step is None:
            return False
        latest = copy.copy(trial)
        latest.intermediate_values = {step: trial.intermediate_values[step]}
        return self._pruner.prune(study, latest)


SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {  # take the seeds of the study and the trial
    "tpe": lambda _, seed: optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=seed),
    "gp": lambda _, seed: optuna.samplers.GPSampler(seed=seed),
    "qmc": lambda seed, _: optuna.samplers.QMCSampler(scramble=True, seed=seed),
    "random": lambda _, seed: optuna.samplers.RandomSampler(seed=seed),
}
PRUNERS: dict[str, Callable[[int], BasePruner]] = {  # take the number of steps that a trial reports
    "median": lambda _: LatestValuePruner(optuna.pruners.MedianPruner(STARTUP_TRIALS, WARMUP_EVALUATIONS)),
    "percentile": lambda _: LatestValuePruner(
        optuna.pruners.PercentilePruner(25.0, STARTUP_TRIALS, WARMUP_EVALUATIONS)
    ),
    "halving": lambda _: optuna.pruners.SuccessiveHalvingPruner(min_resource=WARMUP_EVALUATIONS),
    "hyperband": lambda steps: optuna.pruners.HyperbandPruner(min_resource=WARMUP_EVALUATIONS, max_resource=steps),
    "none": lambda _: optuna.pruners.NopPruner(),
}


def make_sampler(name: str, seed: int, number: int) -> BaseSampler:
    """Build the sampler of one trial, seeded by study and trial so that every process suggests the same values.

    Args:
        name: Name of the sampler.
        seed: Seed of the study's sampler.
        number: Number of the trial.

    Raises:
        SettingError: Unknown sampler.
    """
    make = find("sampler", name, SAMPLERS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return make(seed, int(np.random.SeedSequence([seed, number]).generate_state(1)[0]))


def make_pruner(name: str, seeds: int) -> BasePruner:
    """Build the pruner of this name.

    Args:
        name: Name of the pruner.
        seeds: Number of trainings per trial.

    Raises:
        SettingError: Unknown pruner.
    """
    return find("pruner", name, PRUNERS)(seeds * EVALUATIONS)
