"""Embed observations of token ids: the features extractor for `observation="tokens"`."""

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

INITIAL_STD = 0.1  # of embedding weights; with PyTorch's default of 1, learning is half as fast in 2,000 episodes


class TokenExtractor(BaseFeaturesExtractor):
    """Concatenate embeddings of the previous token and of the next k + 1 message words, and the clock from 0 to 1.

    A token has separate embeddings as emitted token and as message word. Columns past the end of a message hold
    token 0; the clock resolves the ambiguity. Features: [N, (k + 2) · embedding + 1].
    With SB3's own algorithms: `policy_kwargs={"features_extractor_class": TokenExtractor}`.

    Args:
        observation_space: Observation space of `TokenTask-v0` with `observation="tokens"`.
        embedding: Length of an embedding vector.
    """

    def __init__(self, observation_space: spaces.Box, embedding: int = 32) -> None:
        columns, vocab_size = observation_space.shape[0], int(observation_space.high[0]) + 1
        super().__init__(observation_space, (columns - 1) * embedding + 1)
        self.length = int(observation_space.high[-1])
        self.said = nn.Embedding(vocab_size, embedding)
        self.due = nn.Embedding(vocab_size, embedding)
        for table in (self.said, self.due):
            nn.init.normal_(table.weight, std=INITIAL_STD)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Return features [N, F] of observations [N, k + 3]; SB3 passes the integer columns as floats."""
        ids = observations[:, :-1].long()
        said, due = self.said(ids[:, 0]), self.due(ids[:, 1:]).flatten(1)
        clock = observations[:, -1:].float() / self.length
        return torch.cat([said, due, clock], dim=1)
