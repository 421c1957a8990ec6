"""Play what was trained: an agent says tokens, with the memory and the masks that its algorithm has."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from agents.algorithms.table import find_algorithm
from agents.machine.matmul import FLOAT32, choose_products
from agents.settings.schema import Settings
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.task import Task

BoolArray = NDArray[np.bool_]
# Of an agent the hidden and cell state of its LSTM, [layers, N, units] each; of an ensemble what each member remembers.
Memory = tuple[Any, ...]


class TokenPolicy(ABC):
    """Whatever says tokens by their probabilities: an agent, or several as one.

    Args:
        dynamics: of the task it can play.
        uses_mask: whether it is kept to legal tokens.
        kind: what it is, for messages.
    """

    def __init__(self, dynamics: Dynamics, uses_mask: bool, kind: str) -> None:
        self.dynamics, self.uses_mask, self._kind = dynamics, uses_mask, kind

    @property
    def task(self) -> Task:
        """The constants of the task it was trained on, its language included."""
        return self.dynamics.task

    @property
    def language(self) -> Language:
        """The language it speaks."""
        return self.dynamics.language

    @property
    def greedy(self) -> "Player":
        """Says the most probable tokens, for `token_env.evaluate`."""
        return Player(self)

    @property
    def sampled(self) -> "Player":
        """Draws tokens by their probability, for `token_env.evaluate`."""
        return Player(self, deterministic=False)

    def predict(
        self,
        observation: Observations,
        deterministic: bool = True,
        *,
        state: Memory | None = None,
        episode_start: BoolArray | None = None,
        action_masks: BoolArray | None = None,
    ) -> tuple[NDArray[np.int64], Memory | None]:
        """Tokens to say, [N] for observations [N, D] and [] for one of [D], and what a recurrent agent remembers.

        Args:
            observation: as the task's environments give it.
            deterministic: the most probable token if true, else one drawn by its probability.
            state: what the step before returned; None: nothing has been seen yet.
            episode_start: [N], rows whose episode begins now, of which everything is forgotten; None: none does.
            action_masks: [N, V], which tokens may be said; None: all of them.

        Raises:
            SettingError: masks for an agent that was trained without them.
        """
        distribution, state = self.distribution(observation, state, episode_start, action_masks)
        tokens = np.asarray(distribution.get_actions(deterministic=deterministic).cpu().numpy(), dtype=np.int64)
        return tokens if np.ndim(observation) > 1 else tokens[0], state

    @abstractmethod
    def distribution(
        self,
        observations: Observations,
        state: Memory | None = None,
        episode_start: BoolArray | None = None,
        action_masks: BoolArray | None = None,
    ) -> tuple[Any, Memory | None]:
        """SB3's distribution over tokens after observations [N, D], and what is remembered of them.

        The rest is as for `predict`. The next call overwrites the distribution.
        """

    def logits(self, observations: Observations) -> NDArray[np.float32]:
        """Unnormalised log-probabilities of all tokens, [N, V], where episodes begin with observations [N, D]."""
        return np.asarray(self.distribution(observations)[0].distribution.logits.cpu().numpy())

    def check_masks(self) -> None:
        """Refuse masks where there can be none.

        Raises:
            SettingError: it was trained without masks.
        """
        if not self.uses_mask:
            raise SettingError(f"{self._kind} takes no action masks; leave them out, or train maskable-ppo.")


class Agent(TokenPolicy):
    """A trained policy with its task: what `agents.load` gives. It computes in float32, however it was trained."""

    def __init__(self, settings: Settings, dynamics: Dynamics, policy: BasePolicy) -> None:
        row = find_algorithm(settings.algorithm)
        super().__init__(dynamics, row.uses_mask, f"a {settings.algorithm} agent")
        self.settings, self.recurrent = settings, row.recurrent
        self.policy: Any = policy  # SB3's and sb3-contrib's have no base class that tells what they take
        self._products = choose_products(settings.matmul, FLOAT32, policy.device.type)

    def distribution(
        self,
        observations: Observations,
        state: Memory | None = None,
        episode_start: BoolArray | None = None,
        action_masks: BoolArray | None = None,
    ) -> tuple[Any, Memory | None]:
        """See `TokenPolicy`."""
        seen, _ = self.policy.obs_to_tensor(np.asarray(observations, dtype=self.policy.observation_space.dtype))
        if action_masks is not None:
            self.check_masks()
        with torch.no_grad(), self._products.in_use():
            if self.recurrent:
                starts = np.zeros(len(seen)) if episode_start is None else episode_start
                started = torch.as_tensor(starts, dtype=torch.float32, device=seen.device)
                distribution, memory = self.policy.get_distribution(seen, state or self._nothing(len(seen)), started)
                return distribution, memory
            masks = {} if action_masks is None else {"action_masks": action_masks}
            return self.policy.get_distribution(seen, **masks), None

    def _nothing(self, rows: int) -> tuple[Tensor, Tensor]:
        layers, _, units = self.policy.lstm_hidden_state_shape
        zeros = torch.zeros(layers, rows, units, device=self.policy.device)
        return zeros, zeros


class Player:
    """A policy that plays episodes, as `token_env.evaluate` takes it: it remembers, and keeps to the legal tokens.

    Args:
        agent: who plays, or several as one.
        deterministic: the most probable token if true, else one drawn by its probability.
        masked: whether only legal tokens are said; None: as it was trained.
        ranks: how many tokens may be said, from the most frequent; None: all. Deterministic only.

    Raises:
        SettingError: masks for an agent that was trained without them.
    """

    def __init__(
        self, agent: TokenPolicy, deterministic: bool = True, masked: bool | None = None, ranks: int | None = None
    ) -> None:
        if masked:
            agent.check_masks()
        self.agent, self.deterministic, self.ranks = agent, deterministic, ranks
        self.masked = agent.uses_mask if masked is None else masked
        self._memory: Memory | None = None

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        if episode_starts.all():
            self._memory = None  # perhaps of another number of rows
        masks = self._widened(action_masks()) if self.masked else None
        distribution, self._memory = self.agent.distribution(observations, self._memory, episode_starts, masks)
        if self.ranks is not None:
            tokens = distribution.distribution.logits[:, : self.ranks].argmax(dim=1)
        else:
            tokens = distribution.get_actions(deterministic=self.deterministic)
        return np.asarray(tokens.cpu().numpy(), dtype=np.int64)

    def _widened(self, masks: BoolArray) -> BoolArray:
        """Masks of a smaller vocabulary, which leave out what is beyond it."""
        return np.pad(masks, ((0, 0), (0, self.agent.task.vocab_size - masks.shape[1])))
