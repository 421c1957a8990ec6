"""Run one episode at a time: the task as a `gymnasium.Env`."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.error import InvalidAction
from numpy.typing import NDArray

from token_env.drawing.as_text import draw_text, print_text
from token_env.episodes.batch import Batch
from token_env.episodes.resets import validate_options
from token_env.episodes.snapshot import Snapshot
from token_env.errors import SettingError, shortened, unknown_name
from token_env.languages.language import Language
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.problems import Problem
from token_env.rules.task import Task, make_task

ROW = np.array([0])


class TokenEnv(gymnasium.Env[Observations, int]):
    """
    ## Description

    A hidden message consists of `max_steps` words. The agent sees the meaning of each word as a jittered vector
    and restates the message in its own words, one token per step. A good token is close to the meaning that is
    due (adequacy) and follows naturally from the previous token (fluency). Repeating the message verbatim is not
    optimal, because natural messages contain surprising transitions; the best answer is a fluent paraphrase. Rare
    words pay more.

    ## Action Space

    `Discrete(vocab_size)`: the token to say. Tokens are ranked by frequency; 0 is the most frequent.

    ## Observation Space

    `"features"` is a float32 `Box` with finite bounds; values are clipped to them. With d = 16, the dimension of the
    language, and k = `lookahead`:

    | columns | content | bounds |
    |---|---|---|
    | d | context vector of the previous token, divided by the longest context vector | -1 … 1 |
    | (k+1)·d | meanings due now and in the next k steps; zeros past the end | -1 … 1 |
    | k+1 | rarity of these words, log(u_0 / u_b) / 10; zeros past the end | 0 … 2 |
    | 1 | clock: 0 at reset, 1 after the last step | 0 … 1 |
    | 0, 1 or 2 | return so far (rewards `terminal` and `potential`); Φ (reward `potential`) | -1 … 1 |

    `"tokens"` is an int64 `Box` for policies that learn embeddings: the previous token; the tokens nearest to the
    meanings due now and in the next k steps, 0 past the end; the number of steps so far. It does not show the jitter
    of the meanings.

    ## Starting State

    The problem id determines the previous token, drawn from the unigram distribution, and the message, drawn from the
    language's bigram chain. `reset(seed=…)` draws an id with `np_random.integers`; every further `reset()` takes the
    next id. `reset(options={"problem_id": 17})` plays problem 17, then 18, and so on. A problem is the same on every
    machine and in every batch. The splits `train`, `validation` and `test` are disjoint by content.

    ## Rewards

    `"dense"`: `α w_t max(0, m_a·x_t) - λ max(0, s(a_t | a_{t-1}) - τ)`, with `s` the surprisal in nats and `w_t`
    the payment of the word that is due. `"terminal"`: the sum of the dense rewards, paid at the last step.
    `"potential"`: terminal plus the shaping `γΦ' - Φ`, where Φ is the adequacy so far. `"exact"`: 1 for the
    word of the message itself, else 0. Or a function from a `token_env.Transition` to one number per row.

    ## Episode End

    The episode terminates after `max_steps` tokens. The task itself never truncates.

    ## Information

    `reset` and `step` return `adequacy` and `fluency_penalty` of the step under every reward (0 at reset),
    `problem_id` and `split`; with `optimum=True` also `optimal_return` (the highest possible return), `score`
    (the return as a share of it) and `is_success` (a score of at least 0.5), which are 0 and False before the
    last step. `action_masks()` returns the
    tokens within the mask budget. The unwrapped environment has `language`, `task` (the constants),
    `problem` (`start`, `meanings`, `weights`, `message`), and `state` with `restore(state)` for planners.

    ## Arguments

    `gymnasium.make` takes every field of `token_env.Task` as a keyword, and `render_mode`: "ansi", "human" or
    "rgb_array".

    ```python
    >>> import gymnasium, token_env
    >>> env = gymnasium.make("TokenTask-v0", vocab_size=200, split="test")
    >>> observation, info = env.reset(options={"problem_id": 17})
    >>> observation.shape, env.action_space
    ((51,), Discrete(200))

    ```

    ## Version History

    * v0: initial version; the constants may still change until release 1.0.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "human", "rgb_array"], "render_fps": 4}  # noqa: RUF012

    def __init__(self, render_mode: str | None = None, **keywords: Any) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise unknown_name("render mode", render_mode, self.metadata["render_modes"])
        self.render_mode = render_mode
        dynamics = Dynamics(make_task(**keywords))
        self._batch = Batch(dynamics, 1)
        self._episode_info: dict[str, Any] = {}  # the infos that stay the same until the last step
        self.observation_space = observation_space(dynamics)
        self.action_space = spaces.Discrete(dynamics.task.vocab_size)  # type: ignore[assignment]

    @property
    def task(self) -> Task:
        """Constants of the current task."""
        return self._batch.dynamics.task

    @property
    def language(self) -> Language:
        """Language of the tokens that the agent can say."""
        return self._batch.dynamics.language

    @property
    def problem(self) -> Problem:
        """Problem of the current episode.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return self._batch.problem(0)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        """Start the next problem, or the one of `options={"problem_id": …}`.

        Returns:
            Observation [D] and info, with the names that `step` returns.

        Raises:
            SettingError: An id outside the split, or an unknown option.
        """
        super().reset(seed=seed)
        options = validate_options(options)
        if seed is not None or self._batch.needs_start(0):
            self._batch.draw_start(0, self.np_random)
        if "problem_id" in options:
            self._batch.set_next(ROW, options["problem_id"])
        self._batch.start(ROW)
        if self.render_mode == "human":
            self.render()
        self._episode_info = self._read_episode_info()
        return self._batch.observe()[0], {"adequacy": 0.0, "fluency_penalty": 0.0} | self._episode_info

    def step(self, action: int) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        """Say one token.

        Returns:
            Observation [D], reward, terminated, truncated (always False), and info.

        Raises:
            gymnasium.error.InvalidAction: An action that is not an integer, or outside the vocabulary.
            gymnasium.error.ResetNeeded: Before the first reset, or after the end of the episode.
        """
        token = np.asarray(action)
        if token.ndim or token.dtype.kind not in "iu":
            raise InvalidAction(
                f"an action is one integer from 0 to {self.task.vocab_size - 1}, {shortened(action)} was given."
            )
        transition = self._batch.step(self._batch.validate_actions(token[None]))
        reward = float(self._batch.dynamics.rewards(transition)[0])
        terminated = bool(transition.done[0])
        if self.render_mode == "human":
            self.render()
        if terminated:
            self._episode_info = self._read_episode_info()
        info = {
            "adequacy": float(transition.adequacy[0]),
            "fluency_penalty": float(transition.fluency_penalty[0]),
        } | self._episode_info
        return self._batch.observe()[0], reward, terminated, False, info

    def _read_episode_info(self) -> dict[str, Any]:
        return {name: column.item() for name, column in self._batch.episode_infos().items()}

    @property
    def state(self) -> Snapshot:
        """State of the environment: numbers only, which no later step changes.

        `restore` comes back to it. The episode, the order of the problems and `np_random` belong to it; the generator
        of `action_space` and a change by `set_difficulty` that is still to come do not.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return Snapshot.of(self._batch.snapshot(0), self.np_random, self.np_random_seed)

    def restore(self, state: Snapshot) -> None:
        """Continue from a state, of this environment or of another one with the same keywords.

        The same actions then give the same observations, rewards and infos, bit for bit, also beyond the next reset.

        Raises:
            SettingError: The state is of another task, or none at all.
        """
        if not isinstance(state, Snapshot):
            raise SettingError(f"a state is what env.unwrapped.state returned, {shortened(state)} was given.")
        self._batch.restore(0, state.row)
        state.restore_generator(self.np_random)
        self._np_random_seed = state.seed
        self._episode_info = self._read_episode_info()

    def set_difficulty(self, noise: float, message_vocab: int | None) -> None:
        """Change the noise and message vocabulary of the problems, from the next episode on.

        Problem ids, split and all other constants stay. For curricula; SB3's vector environments call it through
        `env_method("set_difficulty", …)`.

        Args:
            noise: σ, jitter of the meanings relative to their length.
            message_vocab: Number of tokens that messages use; None for the whole vocabulary.

        Raises:
            SettingError: A value that is not allowed.
        """
        self._batch.set_difficulty(noise, message_vocab)

    def action_masks(self) -> NDArray[np.bool_]:
        """Return the legal tokens, bool [V]: those within the mask budget (nats), at least one.

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        return self._batch.action_masks()[0]

    def render(self) -> str | NDArray[np.uint8] | None:
        """Draw the episode so far: return text ("ansi") or uint8 pixels [H, W, 3] ("rgb_array"), or print ("human").

        Raises:
            gymnasium.error.ResetNeeded: Before the first reset.
        """
        if self.render_mode is None:
            gymnasium.logger.warn("render() needs a render mode; make the environment with render_mode='ansi'.")
            return None
        if self.render_mode == "rgb_array":
            from token_env.drawing.picture import draw_pixels  # imported late: Pillow is needed for pictures only

            return draw_pixels(self._batch, 0)
        picture = draw_text(self._batch, 0)
        if self.render_mode == "ansi":
            return picture
        print_text(picture)
        return None


def observation_space(dynamics: Dynamics) -> spaces.Box:
    """Return the space of one row's observation, [D], with bounds per column."""
    low, high = dynamics.observation_bounds
    return spaces.Box(low, high, dtype=low.dtype.type)
