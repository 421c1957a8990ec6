"""Play trained policies: agents choose tokens, with the LSTM memory and action masks of their algorithm."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from agents.algorithms.models import build_policy
from agents.algorithms.table import find_algorithm
from agents.machine.matmul import FLOAT32, choose_products
from agents.settings.schema import TIED_HEADS, Settings
from token_env.errors import SettingError
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.task import Task

BoolArray = NDArray[np.bool_]
# Recurrent memory. Agent: hidden and cell state of the LSTM, [layers, N, units] each. Ensemble: memory of each member.
Memory = tuple[Any, ...]


class TokenPolicy(ABC):
    """Base class of policies with a token distribution: an agent or an ensemble.

    Args:
        dynamics: Dynamics of the policy's task.
        uses_mask: Whether the policy takes action masks.
        kind: Noun phrase for the policy, for error messages.
    """

    def __init__(self, dynamics: Dynamics, uses_mask: bool, kind: str) -> None:
        self.dynamics, self.uses_mask, self._kind = dynamics, uses_mask, kind

    @property
    def task(self) -> Task:
        """Task of the policy, including the language."""
        return self.dynamics.task

    @property
    def language(self) -> Language:
        """Language of the task."""
        return self.dynamics.language

    @property
    def greedy(self) -> "Player":
        """Player that chooses the most probable tokens, for `token_env.evaluate`."""
        return Player(self)

    @property
    def sampled(self) -> "Player":
        """Player that samples tokens by their probability, for `token_env.evaluate`."""
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
        """Return tokens and recurrent memory: tokens [N] for observations [N, D], or [] for one observation [D].

        Args:
            observation: Observations of the task's environments.
            deterministic: Whether to choose the most probable token; otherwise it is sampled by its probability.
            state: Memory returned by the previous step; None before the first step.
            episode_start: [N] Rows in which an episode starts, so that their memory is reset; None for no row.
            action_masks: [N, V] Legal tokens; None for all tokens.

        Raises:
            SettingError: The policy was trained without action masks, but masks were passed.
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
        """Return SB3's distribution over tokens, with logits [N, V], and the memory after observations [N, D].

        Arguments and errors are those of `predict`. The next call overwrites the distribution.
        """

    def logits(self, observations: Observations) -> NDArray[np.float32]:
        """Return unnormalised log-probabilities [N, V] in nats for first observations of episodes, [N, D]."""
        return np.asarray(self.distribution(observations)[0].distribution.logits.cpu().numpy())

    def check_masks(self) -> None:
        """Reject action masks if the policy takes none.

        Raises:
            SettingError: The policy was trained without action masks.
        """
        if not self.uses_mask:
            raise SettingError(f"{self._kind} takes no action masks; leave them out, or train maskable-ppo.")


class Agent(TokenPolicy):
    """A trained policy with its task, as `agents.load` returns it; computes in float32 whatever the training used."""

    def __init__(self, settings: Settings, dynamics: Dynamics, policy: BasePolicy) -> None:
        row = find_algorithm(settings.algorithm)
        super().__init__(dynamics, row.uses_mask, f"a {settings.algorithm} agent")
        self.settings, self.recurrent = settings, row.recurrent
        self.policy: Any = policy  # SB3 and sb3-contrib share no base class for `get_distribution`
        self._products = choose_products(settings.matmul, FLOAT32, policy.device.type)

    def distribution(
        self,
        observations: Observations,
        state: Memory | None = None,
        episode_start: BoolArray | None = None,
        action_masks: BoolArray | None = None,
    ) -> tuple[Any, Memory | None]:
        """Return the distribution and the memory; see `TokenPolicy.distribution`."""
        batch, _ = self.policy.obs_to_tensor(np.asarray(observations, dtype=self.policy.observation_space.dtype))
        if action_masks is not None:
            self.check_masks()
        with torch.no_grad(), self._products.in_use():
            if self.recurrent:
                starts = np.zeros(len(batch)) if episode_start is None else episode_start
                start_flags = torch.as_tensor(starts, dtype=torch.float32, device=batch.device)
                before = state or self._initial_memory(len(batch))
                distribution, memory = self.policy.get_distribution(batch, before, start_flags)
                return distribution, memory
            masks = {} if action_masks is None else {"action_masks": action_masks}
            return self.policy.get_distribution(batch, **masks), None

    @property
    def plans(self) -> bool:
        """Whether the head can plan, to whatever depth."""
        return self.settings.policy.head in TIED_HEADS

    @property
    def plan_depth(self) -> int:
        """Number of steps that the policy plans ahead; 0 for none."""
        return self.settings.policy.depth if self.settings.policy.head == "planning" else 0

    def with_plan(self, depth: int) -> "Agent":
        """Return an agent with the same weights that plans this number of steps ahead; 0 for none.

        Raises:
            SettingError: The policy has a head that cannot plan, or the observed meanings do not reach so far.
        """
        policy, lookahead = self.settings.policy, self.task.lookahead
        if not self.plans:
            raise SettingError(f"policy.head={policy.head} cannot plan; type a run with policy.head=planning or tied.")
        if not 0 <= depth <= lookahead:
            raise SettingError(
                f"the depth of the plan is {depth}; it must be from 0 to {lookahead}, the run's env.lookahead; to plan "
                "further, train with a larger one."
            )
        changes = {"head": "planning", "depth": depth} if depth else {"head": "tied"}
        settings = self.settings.model_copy(update={"policy": policy.model_copy(update=changes)})
        network = build_policy(settings, self.dynamics).to(self.policy.device)
        network.load_state_dict(self.policy.state_dict())
        return Agent(settings, self.dynamics, network)

    def _initial_memory(self, rows: int) -> tuple[Tensor, Tensor]:
        layers, _, units = self.policy.lstm_hidden_state_shape
        zeros = torch.zeros(layers, rows, units, device=self.policy.device)
        return zeros, zeros


class Player:
    """A policy for `token_env.evaluate` that carries recurrent memory across steps and applies action masks.

    Args:
        agent: Agent or ensemble that plays.
        deterministic: Whether to choose the most probable token; otherwise it is sampled by its probability.
        masked: Whether to choose legal tokens only; None for the setting of the training.
        ranks: Number of tokens to choose from, starting with the most frequent; None for all. Deterministic only.

    Raises:
        SettingError: `masked` is true for an agent that was trained without action masks.
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
        """Return the tokens of this step, [N]; see `token_env.EpisodePolicy`."""
        if episode_starts.all():
            self._memory = None  # the new episodes may have another number of rows
        masks = self._pad_masks(action_masks()) if self.masked else None
        distribution, self._memory = self.agent.distribution(observations, self._memory, episode_starts, masks)
        if self.ranks is not None:
            tokens = distribution.distribution.logits[:, : self.ranks].argmax(dim=1)
        else:
            tokens = distribution.get_actions(deterministic=self.deterministic)
        return np.asarray(tokens.cpu().numpy(), dtype=np.int64)

    def _pad_masks(self, masks: BoolArray) -> BoolArray:
        """Pad masks of a smaller vocabulary to the agent's, [N, V]; the added tokens are illegal."""
        return np.pad(masks, ((0, 0), (0, self.agent.task.vocab_size - masks.shape[1])))
