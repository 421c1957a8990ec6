"""Define the large-vocabulary task TokenTask; importing the package registers its environments with Gymnasium.

The import loads numpy, scipy, gymnasium, platformdirs and array-api-compat only; Pillow is loaded when a picture is
drawn.
"""

from typing import Any

from gymnasium.envs.registration import register

from token_env.episodes.dataset import write_episodes
from token_env.episodes.evaluate import EpisodePolicy, Evaluation, evaluate
from token_env.episodes.references import REFERENCES, ReferencePolicy
from token_env.episodes.snapshot import Snapshot
from token_env.errors import SettingError
from token_env.languages.find import find_language
from token_env.languages.language import Language
from token_env.optimum.solver import Solution, Solver
from token_env.rules.dynamics import Dynamics
from token_env.rules.problems import Problem, Problems
from token_env.rules.rewards import REWARDS, Reward, import_reward
from token_env.rules.state import State, Transition
from token_env.rules.task import Task

__all__ = [
    "REFERENCES",
    "REWARDS",
    "SIZES",
    "Dynamics",
    "EpisodePolicy",
    "Evaluation",
    "Language",
    "Problem",
    "Problems",
    "ReferencePolicy",
    "Reward",
    "SettingError",
    "Snapshot",
    "Solution",
    "Solver",
    "State",
    "Task",
    "Transition",
    "evaluate",
    "find_language",
    "import_reward",
    "write_episodes",
]

# Keywords of each registered size; those of "fast" are the defaults of `Task`.
SIZES: dict[str, dict[str, Any]] = {
    "tiny": {"vocab_size": 64, "max_steps": 8},
    "fast": {"vocab_size": 1000, "max_steps": 30},
    "intermediate": {"vocab_size": 5000, "max_steps": 30},
    "stable": {"vocab_size": 5000, "max_steps": 50},
}

for _size, _keywords in SIZES.items():
    register(
        id="TokenTask-v0" if _size == "fast" else f"TokenTask-{_size.capitalize()}-v0",
        entry_point="token_env.env:TokenEnv",
        vector_entry_point="token_env.vector:TokenVectorEnv",
        kwargs=_keywords,
    )
