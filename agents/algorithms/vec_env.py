"""Run N episodes in parallel: the task as a Stable-Baselines3 `VecEnv`."""

import dataclasses
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from token_env.episodes.resets import validate_options
from token_env.rules.observations import Observations
from token_env.rules.task import Task
from token_env.vector import TokenVectorEnv

COMPONENTS = ("adequacy", "fluency_penalty")


class TokenVecEnv(VecEnv):
    """Adapter from `TokenVectorEnv` to SB3: a list of infos, `terminal_observation`, and episode statistics.

    `infos[i]["episode"]` has SB3's `r` (sum of the rewards), `l` and `t`, and `return`, `adequacy`, `fluency_penalty`,
    `problem_id` and `tokens` [L]. `return` is computed from the two components, whatever the reward of the task. Infos
    have the problem and the score at the last step only, since a dictionary per row is slow.

    Args:
        num_envs: Number of rows, N.
        **keywords: Fields of `token_env.Task`, and `render_mode` and `group_size` of `TokenVectorEnv`.

    Raises:
        SettingError: A keyword is unknown, or its value is not allowed.
    """

    def __init__(self, num_envs: int, **keywords: Any) -> None:
        self.vector_env = TokenVectorEnv(num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._totals = np.zeros((len(COMPONENTS), num_envs))  # sums over the running episodes
        self._rewards = np.zeros(num_envs)  # sums over the running episodes
        self._tokens: list[NDArray[np.int64]] = []  # one array [N] per step of the running episodes
        self._created = time.time()
        super().__init__(num_envs, self.vector_env.single_observation_space, self.vector_env.single_action_space)

    def reset(self) -> Observations:
        """Begin the next problem in every row and return observations [N, D]; seeds and options apply to one reset."""
        observations, _ = self.vector_env.reset(seed=self._seeds)
        if any(self._options):
            observations = self._reset_to_options()
        self._reset_seeds()
        self._reset_options()
        self._begin_episodes()
        return observations

    def _reset_to_options(self) -> Observations:
        """Begin the problems that the options name, in the rows that have options."""
        options = [validate_options(row) for row in self._options]
        mask = np.array(["problem_id" in row for row in options])
        ids = np.array([row.get("problem_id", 0) for row in options])
        return self.vector_env.reset(options={"reset_mask": mask, "problem_id": ids})[0]

    def _begin_episodes(self) -> None:
        self._totals = np.zeros((len(COMPONENTS), self.num_envs))
        self._rewards = np.zeros(self.num_envs)
        self._tokens = []

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Store the actions, token ids [N], for the next `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Emit one token in every row; all rows end together and then begin their next problem.

        Returns:
            Observations [N, D], rewards [N], dones [N] and a list of N infos.

        Raises:
            gymnasium.error.InvalidAction: An action is not a token id.
        """
        observations, rewards, done, _, infos = self.vector_env.step(self._actions)
        self._tokens.append(self._actions.copy())
        ending = bool(done.all())
        columns = infos["final_info"] if ending else infos
        self._totals += [columns[name] for name in COMPONENTS]
        self._rewards += rewards
        row_infos: list[dict[str, Any]] = [
            {"adequacy": adequacy, "fluency_penalty": penalty, "TimeLimit.truncated": False}
            for adequacy, penalty in zip(*(columns[name].tolist() for name in COMPONENTS), strict=True)
        ]
        if ending:
            self._add_final_infos(row_infos, columns, infos["final_obs"])
            self._begin_episodes()
        return observations, rewards.astype(np.float32), done, row_infos

    def end_episodes(self, episodes: Any) -> tuple[Observations, NDArray[Any], NDArray[np.bool_], list[dict[str, Any]]]:
        """End the episodes of all rows, which were played elsewhere from the first step to the last; begin the next.

        Args:
            episodes: The `Episodes` of `agents.algorithms.rollouts`.

        Returns:
            The first observations [N, D] of the next episodes, rewards of all steps float32 [L, N], dones [N], and what
            `step` would have returned as infos of the last step, without the step's terms.
        """
        tokens, rewards, adequacy, penalty = (
            array if isinstance(array, np.ndarray) else array.cpu().numpy()
            for array in (episodes.actions, episodes.rewards, episodes.adequacy, episodes.fluency_penalty)
        )
        observations, infos = self.vector_env.end_episodes(tokens.T, adequacy, penalty)
        self._tokens, self._totals, self._rewards = (
            list(tokens),
            np.stack([adequacy, penalty]),
            rewards.sum(axis=0, dtype=np.float64),
        )
        row_infos: list[dict[str, Any]] = [{"TimeLimit.truncated": False} for _ in range(self.num_envs)]
        self._add_final_infos(row_infos, infos["final_info"], infos["final_obs"])
        self._begin_episodes()
        return observations, rewards, np.ones(self.num_envs, dtype=np.bool_), row_infos

    def _add_final_infos(
        self, row_infos: list[dict[str, Any]], columns: dict[str, Any], final_obs: NDArray[np.object_]
    ) -> None:
        tokens = np.stack(self._tokens, axis=1)
        names = (name for name in columns if not name.startswith("_") and name not in COMPONENTS)
        final_columns = {name: columns[name].tolist() for name in names}
        elapsed = round(time.time() - self._created, 6)
        for row, info in enumerate(row_infos):
            adequacy, penalty = map(float, self._totals[:, row])
            info |= {name: column[row] for name, column in final_columns.items()}
            info["terminal_observation"] = final_obs[row]
            info["episode"] = {
                "r": float(self._rewards[row]),
                "l": tokens.shape[1],
                "t": elapsed,
                "return": adequacy - penalty,
                "adequacy": adequacy,
                "fluency_penalty": penalty,
                "problem_id": info["problem_id"],
                "tokens": tokens[row],
            }

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        """Return one RGB image [height, width, 3] per row if `render_mode` is "rgb_array", else None per row."""
        return list(self.vector_env.render() or [None] * self.num_envs)  # type: ignore[arg-type]

    def close(self) -> None:
        """End the thread that draws problems, if there is one."""
        self.vector_env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """Return an attribute once for each of these rows."""
        rows = list(self._get_indices(indices))
        if attr_name == "problem":
            return [self.vector_env.problems.single(row) for row in rows]
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self, attr_name)] * len(rows)
        return [getattr(self.vector_env, attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute of all rows; `indices` is ignored, because rows share their attributes."""
        setattr(self.vector_env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method once for all rows; return its result for these rows, or None where it returns nothing."""
        results = getattr(self.vector_env, method_name)(*args, **kwargs)
        return [None if results is None else results[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """Return False for every row: rows are not separate environments that could be wrapped."""
        return [False] * len(list(self._get_indices(indices)))


def task_keywords(task: Task) -> dict[str, Any]:
    """Return the fields of a task as keyword arguments for an environment."""
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
