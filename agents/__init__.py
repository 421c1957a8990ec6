"""Train agents on TokenTask with Stable-Baselines3, and load what was trained."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if find_spec("stable_baselines3") is None:
    raise ImportError("the agents need more than the environment does; type pip install -c constraints.txt '.[agents]'")

if TYPE_CHECKING:
    from agents.agent import Agent
    from agents.checkpoints import load
    from agents.ensemble import Ensemble
    from agents.extractors import TokenExtractor
    from agents.fit import Result
    from agents.run_dir import Metrics, load_metrics
    from agents.settings import Settings, make_settings
    from agents.vec_env import TokenVecEnv

# Where each public name lives; imported when first used, so that a command starts without what it does not need.
_HOMES = {
    "Agent": "agents.agent",
    "Ensemble": "agents.ensemble",
    "Metrics": "agents.run_dir",
    "Result": "agents.fit",
    "Settings": "agents.settings",
    "TokenExtractor": "agents.extractors",
    "TokenVecEnv": "agents.vec_env",
    "load": "agents.checkpoints",
    "load_metrics": "agents.run_dir",
    "make_settings": "agents.settings",
}
__all__ = [
    "Agent",
    "Ensemble",
    "Metrics",
    "Result",
    "Settings",
    "TokenExtractor",
    "TokenVecEnv",
    "load",
    "load_metrics",
    "make_settings",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'agents' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
