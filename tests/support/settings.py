"""Settings of short trainings, and the list of shipped presets."""

from agents.algorithms.table import ALGORITHMS
from agents.settings.layers import make_settings, preset_layer, read_layer
from agents.settings.presets import names


def is_preset_of(name, algorithm):
    """Whether the preset is one of this algorithm: those of sizes are of all, the others name theirs or are PPO's."""
    return "/" not in name or algorithm == read_layer(name).get("algorithm", "ppo")


PRESETS = [(name, algorithm) for name in names() for algorithm in ALGORITHMS if is_preset_of(name, algorithm)]

SHORT = {
    "device": "cpu",
    "episodes": 64,
    "ppo": {"n_envs": 8, "batch_size": 32, "n_epochs": 2},
    "a2c": {"n_envs": 8},
    "grpo": {"n_envs": 8, "group_size": 4, "batch_size": 32, "n_epochs": 2},
    "trpo": {"n_envs": 8, "batch_size": 32, "n_critic_updates": 2, "cg_max_steps": 4},
    "recurrent_ppo": {"lstm_hidden_size": 16},
    "curriculum": {"enabled": True, "threshold": 0.0, "window": 16},
    "evaluation": {"problems": 2},
    "checkpoints": {"episodes": 16, "validations": 3, "problems": 3},  # after 16, 24, 40, 48 and 64
}


def short_settings(**layer):
    return make_settings(preset_layer("tiny"), SHORT, layer)


def quick_settings(algorithm="a2c", **more):
    """Settings of a training that takes a fraction of a second."""
    short = {"algorithm": algorithm, "device": "cpu", "episodes": 16, "evaluation": {"problems": 4}}
    return make_settings(preset_layer("tiny"), short, more)
