"""Train agents on TokenTask with Stable-Baselines3, load and serve trained agents."""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any


def check_neighbour(name: str) -> None:
    """Check that an import finds the package beside this one, not a package of that name in the user's directory.

    Raises:
        ImportError: Another package is found.
        SystemExit: The same while a command starts; the message is printed on standard error.
    """
    spec, ours = find_spec(name), Path(__file__).parents[1] / name / "__init__.py"
    if spec is None or not ours.exists() or (spec.origin and Path(spec.origin).resolve() == ours.resolve()):
        return
    message = f"{spec.origin} hides tokentask's package {name!r}; rename its folder, or start Python in another one."
    if sys.argv[:1] == ["-m"]:  # as it is while Python imports the packages of `python -m agents.train`
        print(f"error: {message}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(message)


check_neighbour("token_env")
if find_spec("stable_baselines3") is None and find_spec("fastapi") is None:  # which is enough to serve exported models
    raise ImportError(
        "the agents need packages beyond those of the environment; type pip install -c constraints.txt '.[agents]'"
    )

if TYPE_CHECKING:
    from agents.algorithms.grpo import GRPO
    from agents.algorithms.mask_buffer import PackedMaskBuffer
    from agents.algorithms.vec_env import TokenVecEnv
    from agents.evaluation.agent import Agent
    from agents.evaluation.ensemble import Ensemble
    from agents.policies.actor_critic import (
        FastActorCriticPolicy,
        FastActorPolicy,
        FastMaskableActorCriticPolicy,
        FastRecurrentActorCriticPolicy,
        TiedActorCriticPolicy,
        TiedActorPolicy,
        TiedMaskableActorCriticPolicy,
        TiedRecurrentActorCriticPolicy,
    )
    from agents.policies.extractors import TokenExtractor
    from agents.policies.tied_head import language_prior
    from agents.runs.metrics import Metrics, load_metrics
    from agents.runs.model_files import load
    from agents.settings.layers import make_settings
    from agents.settings.schema import Settings
    from agents.training.finish import Result

# Module of each public name; imported at first use, so that a command loads only the packages it needs.
_MODULES = {
    "GRPO": "agents.algorithms.grpo",
    "Agent": "agents.evaluation.agent",
    "Ensemble": "agents.evaluation.ensemble",
    "FastActorCriticPolicy": "agents.policies.actor_critic",
    "FastActorPolicy": "agents.policies.actor_critic",
    "FastMaskableActorCriticPolicy": "agents.policies.actor_critic",
    "FastRecurrentActorCriticPolicy": "agents.policies.actor_critic",
    "Metrics": "agents.runs.metrics",
    "PackedMaskBuffer": "agents.algorithms.mask_buffer",
    "Result": "agents.training.finish",
    "Settings": "agents.settings.schema",
    "TiedActorCriticPolicy": "agents.policies.actor_critic",
    "TiedActorPolicy": "agents.policies.actor_critic",
    "TiedMaskableActorCriticPolicy": "agents.policies.actor_critic",
    "TiedRecurrentActorCriticPolicy": "agents.policies.actor_critic",
    "TokenExtractor": "agents.policies.extractors",
    "TokenVecEnv": "agents.algorithms.vec_env",
    "language_prior": "agents.policies.tied_head",
    "load": "agents.runs.model_files",
    "load_metrics": "agents.runs.metrics",
    "make_settings": "agents.settings.layers",
}
__all__ = [
    "GRPO",
    "Agent",
    "Ensemble",
    "FastActorCriticPolicy",
    "FastActorPolicy",
    "FastMaskableActorCriticPolicy",
    "FastRecurrentActorCriticPolicy",
    "Metrics",
    "PackedMaskBuffer",
    "Result",
    "Settings",
    "TiedActorCriticPolicy",
    "TiedActorPolicy",
    "TiedMaskableActorCriticPolicy",
    "TiedRecurrentActorCriticPolicy",
    "TokenExtractor",
    "TokenVecEnv",
    "language_prior",
    "load",
    "load_metrics",
    "make_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'agents' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_MODULES[name]), name)
