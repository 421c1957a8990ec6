"""Agents with random weights, and model directories that were never trained."""

import dataclasses
import os

import numpy as np
import torch

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.runs import model_files
from agents.settings.layers import make_settings, preset_layer
from agents.settings.schema import TIED_HEADS, section_name
from token_env import Dynamics, Evaluation


def untrained(seed=0, **env):
    """An agent with random weights."""
    settings = make_settings({"env": {"vocab_size": 64, "max_steps": 8} | env, "policy": {"hidden": [16]}})
    dynamics = Dynamics(settings.env)
    torch.manual_seed(seed)
    policy = build_policy(settings, dynamics)
    with torch.no_grad():
        policy.action_net.weight.normal_()
    return Agent(settings, dynamics, policy)


def played(returns):
    returns = np.array(returns)
    size = len(returns)
    return Evaluation(np.arange(size), returns, np.zeros(size), np.zeros((size, 1), dtype=int), np.ones(size))


SMALL = {"recurrent_ppo": {"lstm_hidden_size": 16}, "policy": {"hidden": [16]}}


def moved(agent):
    """The agent with other weights than untrained ones, in which much is 0."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in agent.policy.parameters():
            parameter += 0.03 * torch.randn(parameter.shape, generator=generator)
    return agent


def make_run(path, algorithm="ppo", head="tied", **layer):
    return saved(path, **(SMALL | {"algorithm": algorithm, "policy": {"hidden": [16], "head": head}} | layer))


class Bomb:
    """Runs a command when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch '{self.marker}'",)


def saved(path, **layer):
    """A model that was not trained, in a directory of its own."""
    settings = make_settings(preset_layer("tiny"), layer)
    dynamics = Dynamics(settings.env)
    path.mkdir()
    torch.manual_seed(0)
    model_files.save(path, settings, dynamics, build_policy(settings, dynamics))
    return path


TINY_ENV = {"vocab_size": 64, "max_steps": 8}
SMALL_SECTION = {"n_envs": 4, "n_steps": 8, "batch_size": 16}


def variant_settings(algorithm, head="fast", **env):
    section = {"n_envs": 4, "n_steps": 8} if algorithm == "a2c" else SMALL_SECTION
    section = section | ({"group_size": 2} if algorithm == "grpo" else {})
    section = section | ({"lstm_hidden_size": 8} if algorithm == "recurrent-ppo" else {})
    return make_settings(
        {
            "algorithm": algorithm,
            "device": "cpu",
            "episodes": 4,
            "env": TINY_ENV | env,
            "policy": {"head": head, "hidden": [16]},
            "evaluation": {"problems": 5},
            section_name(algorithm): section,
        }
    )


def untrained_variant(algorithm, head="fast", **env):
    """An agent with random weights, far from preferring nothing."""
    settings = variant_settings(algorithm, head, **env)
    dynamics = Dynamics(dataclasses.replace(settings.env, split="test"))
    torch.manual_seed(0)
    policy = build_policy(settings, dynamics)
    with torch.no_grad():
        for parameter in (policy.mlp_extractor.head if head in TIED_HEADS else policy.action_net).parameters():
            parameter.normal_(std=0.1 if head in TIED_HEADS else 1.0)
    return Agent(settings, dynamics, policy)
