"""Score the learning policy on validation problems without disturbing the training."""

from agents.evaluation.agent import Agent
from agents.machine.matmul import FLOAT32
from agents.machine.random_states import preserved_generators
from agents.policies.bf16 import multiply_in
from agents.settings.schema import CheckpointSettings, Settings
from agents.training.build import Training
from token_env.episodes.evaluate import evaluate
from token_env.rules.task import held_out


def checkpoint_settings(settings: Settings) -> CheckpointSettings:
    """What is kept of the training; a run that plays the validation problems is not validated on them."""
    chosen = settings.checkpoints
    return chosen.model_copy(update={"validations": 0}) if settings.env.split == "validation" else chosen


def validate(training: Training) -> float:
    """The mean return of the policy on validation problems, its most probable tokens; nothing else changes."""
    settings, policy = training.settings, training.model.policy
    with preserved_generators(training.device):
        multiply_in(policy, FLOAT32)
        agent = Agent(settings, training.dynamics, policy)
        problems = range(settings.checkpoints.problems)
        played = evaluate(agent.greedy, problems, task=held_out(agent.task, "validation"))
        multiply_in(policy, training.products.precision)
    return played.mean_return


Validation = tuple[int, float]  # after so many episodes, the mean return


def best_of(validations: list[Validation]) -> int | None:
    """After how many episodes the policy was best, the first of equals; None if it was never validated."""
    return max(validations, key=lambda each: each[1])[0] if validations else None
