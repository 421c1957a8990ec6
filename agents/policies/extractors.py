"""Turn an observation of token ids into features: what `observation="tokens"` needs in front of a policy's networks."""

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

START = 0.1  # standard deviation of untrained vectors; PyTorch's 1 learns half as much in 2,000 episodes


class TokenExtractor(BaseFeaturesExtractor):
    """Learned vectors of the previous token and of the words that are due, and the clock from 0 to 1.

    A token has one vector as what was said and another as what is to be said, since the task uses them differently.
    Past the end of a message stands that of token 0; the clock tells the two apart.
    Features: [N, (k + 2) · embedding + 1]. For SB3's own algorithms:
    `policy_kwargs={"features_extractor_class": TokenExtractor}`.

    Args:
        observation_space: of `TokenTask-v0` with `observation="tokens"`.
        embedding: length of a token's vectors.
    """

    def __init__(self, observation_space: spaces.Box, embedding: int = 32) -> None:
        columns, vocab_size = observation_space.shape[0], int(observation_space.high[0]) + 1
        super().__init__(observation_space, (columns - 1) * embedding + 1)
        self.length = int(observation_space.high[-1])
        self.said = nn.Embedding(vocab_size, embedding)
        self.due = nn.Embedding(vocab_size, embedding)
        for table in (self.said, self.due):
            nn.init.normal_(table.weight, std=START)

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Features [N, F] of ids [N, k + 3], which SB3 hands over as floats."""
        ids = observations[:, :-1].long()
        said, due = self.said(ids[:, 0]), self.due(ids[:, 1:]).flatten(1)
        clock = observations[:, -1:].float() / self.length
        return torch.cat([said, due, clock], dim=1)
