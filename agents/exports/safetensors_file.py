"""Export an agent as a safetensors file that describes itself, and play such a file."""

import json

import safetensors.torch

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.runs.weights import fill, own_weights, read_weights
from token_env.episodes.evaluate import EpisodePolicy


def safetensors_bytes(agent: Agent) -> bytes:
    """Weights in one file, with what a reader needs to know in its metadata."""
    weights = {name: tensor.contiguous() for name, tensor in own_weights(agent.policy).items()}
    content: bytes = safetensors.torch.save(weights, metadata=description(agent))
    return content


def safetensors_player(agent: Agent, content: bytes) -> EpisodePolicy:
    """The weights of such a file in a new policy."""
    policy = build_policy(agent.settings, agent.dynamics)
    fill(policy, read_weights(content, "that were written"), "that were written")
    return Agent(agent.settings, agent.dynamics, policy).greedy


def description(agent: Agent) -> dict[str, str]:
    """What a reader of an exported file needs to know: the settings, and the words of the tokens, as JSON."""
    return {
        "tokentask.settings": json.dumps(agent.settings.to_dict()),
        "tokentask.language": agent.language.fingerprint,
        "tokentask.tokens": json.dumps(agent.language.surface, ensure_ascii=False),
    }
