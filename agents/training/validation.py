"""Evaluate the policy on validation problems without affecting the training."""

from agents.evaluation.agent import Agent
from agents.machine.matmul import FLOAT32
from agents.machine.random_states import preserved_generators
from agents.policies.bf16 import set_linear_precision
from agents.settings.schema import CheckpointSettings, Settings
from agents.training.build import Training
from token_env.episodes.evaluate import evaluate
from token_env.rules.task import with_split


def checkpoint_settings(settings: Settings) -> CheckpointSettings:
    """Return the checkpoint settings; validation is off when training on the validation split."""
    section = settings.checkpoints
    return section.model_copy(update={"validations": 0}) if settings.env.split == "validation" else section


def validate(training: Training) -> float:
    """Return the mean return of the greedy policy on validation problems; the training state stays the same."""
    settings, policy = training.settings, training.model.policy
    with preserved_generators(training.device):
        set_linear_precision(policy, FLOAT32)
        agent = Agent(settings, training.dynamics, policy)
        problems = range(settings.checkpoints.problems)
        evaluation = evaluate(agent.greedy, problems, task=with_split(agent.task, "validation"))
        set_linear_precision(policy, training.products.precision)
    return evaluation.mean_return


Validation = tuple[int, float]  # number of episodes played, mean return


def best_of(validations: list[Validation]) -> int | None:
    """Return the number of episodes at the best validation, the earliest if several tie; None without validations."""
    return max(validations, key=lambda validation: validation[1])[0] if validations else None
