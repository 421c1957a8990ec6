"""Compile what a policy evaluates in every minibatch, with `torch.compile`.

Functions with a gradient of their own (`activations.py`, `categorical.py`, `tied_logits.py`) use plain operators while
they are compiled, which the compiler fuses.
"""

from typing import Any

import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from token_env.errors import SettingError

COMPILING = (  # what a command says before
    "compile: looking for a compiler, and compiling during the first update; this takes up to a minute, and less for "
    "later trainings of the same shape."
)


def compile_evaluation(policy: ActorCriticPolicy) -> None:
    """Replace `evaluate_actions` of a policy by a compiled function.

    On cuda it records CUDA graphs. On CPUs what it fuses computes on one thread: several would add gradients in an
    order that differs from run to run.

    Raises:
        SettingError: No compiler works for the policy's device.
    """
    torch.compiler.reset()  # what earlier policies of this process left counts towards torch's limit
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(2, device=policy.device))
    except Exception as error:  # torch raises many types of its own
        reason = str(error).partition("\n")[0].strip().rstrip(".")
        raise SettingError(
            f"compile=true needs a compiler that works for {policy.device.type} ({reason}); install one, for example "
            "with apt-get install g++, or type --set compile=false."
        ) from error
    how: dict[str, Any] = {"options": {"cpp.threads": 1}}
    if policy.device.type == "cuda":
        how = {"mode": "reduce-overhead"}
    policy.evaluate_actions = torch.compile(policy.evaluate_actions, dynamic=False, **how)  # type: ignore[method-assign]
