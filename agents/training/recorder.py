"""Watch a training: record every episode and update as it happens."""

import contextlib
import time
from collections import deque
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from agents.evaluation.statistics import WINDOW
from agents.machine.usage import device_use
from agents.runs import run_dir
from agents.runs.metrics import append_line, load_metrics, metric_file_sizes, truncate_metrics
from token_env.errors import SettingError

# What algorithms call their policy's loss, and its sign: PPO, A2C, TRPO.
POLICY_LOSSES = {"policy_gradient_loss": 1.0, "policy_loss": 1.0, "policy_objective": -1.0}


class Recorder(BaseCallback):
    """Writes a line for every episode and every update of the policy, and keeps the returns.

    Attributes:
        returns: of every episode so far, in the order they ended, computed from the components.
        problem_ids: of these episodes.
        last_tokens: what was said in the last 100 episodes, [L] each.
        device_use: per cent, one reading an update, where the device can be read.
    """

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._directory = directory
        self._files: dict[str, IO[str]] = {}
        self.returns: list[float] = []
        self.problem_ids: list[int] = []
        self.device_use: list[float] = []
        self.last_tokens: deque[NDArray[np.int64]] = deque(maxlen=WINDOW)
        self._started, self._seconds_before = 0.0, 0.0
        self._updates = 0
        self._of_rollout: dict[str, float] = {}  # what the next update's line tells of its rollout

    @property
    def seconds(self) -> float:
        """Of training so far, also in processes that this one goes on from."""
        return round(self._seconds_before + time.monotonic() - self._started, 3)

    @property
    def mean_return(self) -> float:
        """Of the last 100 episodes; NaN before the first."""
        return float(np.mean(self.returns[-WINDOW:])) if self.returns else float("nan")

    def facts(self) -> dict[str, Any]:
        """What `go_on` needs, as JSON holds it; the files are flushed to disk."""
        return {
            "lengths": metric_file_sizes(self._directory),
            "episodes": len(self.returns),
            "updates": self._updates,
            "last_tokens": [tokens.tolist() for tokens in self.last_tokens],
            "device_use": self.device_use,
        }

    def go_on(self, facts: dict[str, Any], seconds: float) -> None:
        """Be as when these facts were told, after so many seconds of training; cut off what was recorded afterwards.

        Raises:
            SettingError: what was recorded before is damaged.
        """
        truncate_metrics(self._directory, facts["lengths"])
        metrics = load_metrics(self._directory)
        if (len(metrics.episodes), len(metrics.updates)) != (facts["episodes"], facts["updates"]):
            raise SettingError(
                f"what {str(self._directory)!r} has recorded was changed since its checkpoint was written."
            )
        if len(metrics.episodes):
            self.returns = metrics.episodes["return"].tolist()
            self.problem_ids = metrics.episodes["problem_id"].tolist()
        self.last_tokens.extend(np.array(tokens) for tokens in facts["last_tokens"])
        self.device_use, self._updates = list(facts["device_use"]), facts["updates"]
        self._seconds_before = seconds

    def _on_training_start(self) -> None:
        self._started = time.monotonic()
        for name in (run_dir.EPISODES, run_dir.UPDATES):
            self._files[name] = (self._directory / name).open("a", encoding="utf-8", buffering=1)

    def _on_step(self) -> bool:
        if self.locals["dones"].any():
            for info in self.locals["infos"]:
                if "episode" in info:
                    self._record_episode(info["episode"])
        return True

    def _record_episode(self, episode: dict[str, Any]) -> None:
        self.returns.append(episode["r"])
        self.problem_ids.append(int(episode["problem_id"]))
        self.last_tokens.append(episode["tokens"])
        row = {
            "episode": len(self.returns),
            "timesteps": self.num_timesteps,
            "seconds": self.seconds,
            "problem_id": episode["problem_id"],
            "return": episode["r"],
            "adequacy": episode["adequacy"],
            "fluency_penalty": episode["fluency_penalty"],
        }
        append_line(self._files[run_dir.EPISODES], row)

    def _on_rollout_start(self) -> None:
        self._record_update()

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        self._of_rollout = {"distinct_tokens": len(np.unique(self.model.rollout_buffer.actions))}
        self._of_rollout |= self._logged("curriculum/")

    def _logged(self, section: str) -> dict[str, float]:
        """What the logger holds of a section, by the rest of its name."""
        values = self.logger.name_to_value.items()
        return {name.removeprefix(section): float(value) for name, value in values if name.startswith(section)}

    def _on_training_end(self) -> None:
        self._record_update()
        self.logger.dump(self.num_timesteps)  # SB3 leaves the last update's values behind

    def _record_update(self) -> None:
        """Read what SB3 logged about the update that has just ended, if one has, and how busy the device is."""
        if not self._of_rollout:
            return
        busy = device_use(str(self.model.device))
        self.device_use += [] if busy is None else [busy]
        logged = self._logged("train/")
        self._updates += 1
        logged.pop("n_updates", None)
        row = {
            "update": self._updates,
            "episodes": len(self.returns),
            "timesteps": self.num_timesteps,
            "seconds": self.seconds,
            **self._of_rollout,
        }
        figures = logged | {"loss": self._loss(logged)}
        finite = {name: value if np.isfinite(value) else None for name, value in figures.items()}
        append_line(self._files[run_dir.UPDATES], row | finite)
        self._of_rollout = {}

    def _loss(self, logged: dict[str, float]) -> float:
        """Policy, entropy and value loss added up with the run's coefficients: means over the update's minibatches.

        SB3's own `loss` is the last minibatch's, and only PPO logs it. What has no weight is left out: TRPO's is the
        policy's alone, since the value has its own optimizer there.
        """
        assert isinstance(self.model, OnPolicyAlgorithm)
        loss = next((sign * logged[name] for name, sign in POLICY_LOSSES.items() if name in logged), float("nan"))
        for name, weight in (("entropy_loss", self.model.ent_coef), ("value_loss", self.model.vf_coef)):
            loss += weight * logged.get(name, float("nan")) if weight else 0.0
        return loss

    def close(self) -> None:
        """Close the files, each line of which was written when it was added."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # a line that could not be written is tried once more
                file.close()
