"""Play N episodes at a time: the task as a Stable-Baselines3 `VecEnv`."""

import dataclasses
import time
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvStepReturn

from token_env.episodes.batch import checked_options
from token_env.rules.observations import Observations
from token_env.rules.task import Task
from token_env.vector import TokenVectorEnv

COMPONENTS = ("adequacy", "fluency_penalty")


class TokenVecEnv(VecEnv):
    """`TokenVectorEnv` translated: a list of infos, `terminal_observation`, and the statistics of an episode.

    `infos[i]["episode"]` has SB3's `r`, `l` and `t`; `r` is the return computed from the components, whatever
    the reward of the task. It adds `adequacy`, `fluency_penalty`, `problem_id` and `tokens`, what was said.

    Args:
        num_envs: N, rows.
        **keywords: every field of `token_env.Task`, and `render_mode`.

    Raises:
        SettingError: an unknown keyword, or a value that is not allowed.
    """

    def __init__(self, num_envs: int, **keywords: Any) -> None:
        self.vector_env = TokenVectorEnv(num_envs, autoreset_mode=AutoresetMode.SAME_STEP, **keywords)
        self._actions = np.zeros(num_envs, dtype=np.int64)
        self._totals = np.zeros((len(COMPONENTS), num_envs))  # accrued in the running episodes
        self._said: list[NDArray[np.int64]] = []  # [N] a step of the running episodes
        self._created = time.time()
        super().__init__(num_envs, self.vector_env.single_observation_space, self.vector_env.single_action_space)

    def reset(self) -> Observations:
        """Begin the next problem in every row; seeds and options given before are used once."""
        observations, _ = self.vector_env.reset(seed=self._seeds)
        if any(self._options):
            observations = self._reset_to_options()
        self._reset_seeds()
        self._reset_options()
        self._begin_episodes()
        return observations

    def _reset_to_options(self) -> Observations:
        """Begin the problems that were chosen for some of the rows."""
        chosen = [checked_options(row) for row in self._options]
        mask = np.array(["problem_id" in row for row in chosen])
        ids = np.array([row.get("problem_id", 0) for row in chosen])
        return self.vector_env.reset(options={"reset_mask": mask, "problem_id": ids})[0]

    def _begin_episodes(self) -> None:
        self._totals[:] = 0.0
        self._said = []

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Take the actions, [N], for the next `step_wait`."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """Say one token in every row; all rows end together, and then begin their next problem."""
        observations, rewards, done, _, infos = self.vector_env.step(self._actions)
        self._said.append(self._actions.copy())
        ending = bool(done.all())
        columns = infos["final_info"] if ending else infos
        self._totals += [columns[name] for name in COMPONENTS]
        listed: list[dict[str, Any]] = [
            {"adequacy": adequacy, "fluency_penalty": penalty, "TimeLimit.truncated": False}
            for adequacy, penalty in zip(*(columns[name].tolist() for name in COMPONENTS), strict=True)
        ]
        if ending:
            self._add_endings(listed, columns, infos["final_obs"])
            self._begin_episodes()
        return observations, rewards.astype(np.float32), done, listed

    def _add_endings(
        self, listed: list[dict[str, Any]], columns: dict[str, Any], final_obs: NDArray[np.object_]
    ) -> None:
        tokens = np.stack(self._said, axis=1)
        names = (name for name in columns if not name.startswith("_") and name not in COMPONENTS)
        endings = {name: columns[name].tolist() for name in names}
        elapsed = round(time.time() - self._created, 6)
        for row, info in enumerate(listed):
            adequacy, penalty = map(float, self._totals[:, row])
            info |= {name: column[row] for name, column in endings.items()}
            info["terminal_observation"] = final_obs[row]
            info["episode"] = {
                "r": adequacy - penalty,
                "l": tokens.shape[1],
                "t": elapsed,
                "adequacy": adequacy,
                "fluency_penalty": penalty,
                "problem_id": info["problem_id"],
                "tokens": tokens[row],
            }

    def get_images(self) -> list[NDArray[np.uint8] | None]:
        """The episodes as pixels, one a row, where `render_mode` is "rgb_array"."""
        return list(self.vector_env.render() or [None] * self.num_envs)  # type: ignore[arg-type]

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute, once for each of these rows."""
        rows = list(self._get_indices(indices))
        if attr_name == "problem":
            return [self.vector_env.problems.single(row) for row in rows]
        if attr_name in ("observation_space", "action_space"):
            return [getattr(self, attr_name)] * len(rows)
        return [getattr(self.vector_env, attr_name)] * len(rows)

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Set an attribute that all rows share."""
        setattr(self.vector_env, attr_name, value)

    def env_method(self, method_name: str, *args: Any, indices: VecEnvIndices = None, **kwargs: Any) -> list[Any]:
        """Call a method of the batch; what it returns for these rows (`action_masks`), or None (`set_difficulty`)."""
        answers = getattr(self.vector_env, method_name)(*args, **kwargs)
        return [None if answers is None else answers[row] for row in self._get_indices(indices)]

    def env_is_wrapped(self, wrapper_class: type[gymnasium.Wrapper], indices: VecEnvIndices = None) -> list[bool]:
        """False: the rows are no separate environments that could be wrapped."""
        return [False] * len(list(self._get_indices(indices)))


def keywords_of(task: Task) -> dict[str, Any]:
    """The task as keywords of an environment."""
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
