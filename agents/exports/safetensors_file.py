"""Export an agent as a safetensors file with its settings as metadata, and load such a file."""

import json

import safetensors.torch

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.runs.weights import fill, read_weights, unique_weights
from token_env.episodes.evaluate import EpisodePolicy


def safetensors_bytes(agent: Agent) -> bytes:
    """Return the weights of an agent as a safetensors file, with its settings and words as metadata."""
    weights = {name: tensor.contiguous() for name, tensor in unique_weights(agent.policy).items()}
    content: bytes = safetensors.torch.save(weights, metadata=export_metadata(agent))
    return content


def safetensors_player(agent: Agent, content: bytes) -> EpisodePolicy:
    """Load the weights of a safetensors file into a new policy with the agent's settings."""
    policy = build_policy(agent.settings, agent.dynamics)
    fill(policy, read_weights(content, "that were written"), "that were written")
    return Agent(agent.settings, agent.dynamics, policy).greedy


def export_metadata(agent: Agent) -> dict[str, str]:
    """Return the metadata of exported files: settings and words of the tokens as JSON, and the language fingerprint."""
    return {
        "tokentask.settings": json.dumps(agent.settings.to_dict()),
        "tokentask.language": agent.language.fingerprint,
        "tokentask.tokens": json.dumps(agent.language.surface, ensure_ascii=False),
    }
