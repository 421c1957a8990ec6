"""Record every episode and every policy update of a training in its metric files."""

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

# Name and sign of the logged policy loss, in the order PPO, A2C, TRPO.
POLICY_LOSSES = {"policy_gradient_loss": 1.0, "policy_loss": 1.0, "policy_objective": -1.0}


class Recorder(BaseCallback):
    """Write one line per episode and per policy update, and collect the returns.

    Args:
        directory: Directory of the run.

    Attributes:
        returns: Return of each episode so far, in the order of their ends.
        problem_ids: Problem id of each of these episodes.
        last_tokens: Tokens of each of the last 100 episodes, int64 [L].
        device_use: Device utilisation in per cent, one sample per update; empty if the device reports none.
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
        self._rollout_columns: dict[str, float] = {}  # columns of the next update's line that describe its rollout

    @property
    def seconds(self) -> float:
        """Seconds of training so far, including those before a resumption."""
        return round(self._seconds_before + time.monotonic() - self._started, 3)

    @property
    def mean_return(self) -> float:
        """Mean return of the last 100 episodes; NaN without episodes."""
        return float(np.mean(self.returns[-WINDOW:])) if self.returns else float("nan")

    def snapshot(self) -> dict[str, Any]:
        """Flush the files to disk and return the recorder's part of a checkpoint, in JSON types."""
        return {
            "lengths": metric_file_sizes(self._directory),
            "episodes": len(self.returns),
            "updates": self._updates,
            "last_tokens": [tokens.tolist() for tokens in self.last_tokens],
            "device_use": self.device_use,
        }

    def restore(self, snapshot: dict[str, Any], seconds: float) -> None:
        """Restore the recorder from a checkpoint, and truncate its files to the size they had then.

        Args:
            snapshot: Return value of `snapshot` at the checkpoint.
            seconds: Wall-clock seconds of training until the checkpoint.

        Raises:
            SettingError: The files were modified or damaged.
        """
        truncate_metrics(self._directory, snapshot["lengths"])
        metrics = load_metrics(self._directory)
        if (len(metrics.episodes), len(metrics.updates)) != (snapshot["episodes"], snapshot["updates"]):
            raise SettingError(
                f"the metrics of {str(self._directory)!r} were modified after the checkpoint was written."
            )
        if len(metrics.episodes):
            self.returns = metrics.episodes["return"].tolist()
            self.problem_ids = metrics.episodes["problem_id"].tolist()
        self.last_tokens.extend(np.array(tokens) for tokens in snapshot["last_tokens"])
        self.device_use, self._updates = list(snapshot["device_use"]), snapshot["updates"]
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
        self.returns.append(episode["return"])
        self.problem_ids.append(int(episode["problem_id"]))
        self.last_tokens.append(episode["tokens"])
        row = {
            "episode": len(self.returns),
            "timesteps": self.num_timesteps,
            "seconds": self.seconds,
            "problem_id": episode["problem_id"],
            "return": episode["return"],
            "adequacy": episode["adequacy"],
            "fluency_penalty": episode["fluency_penalty"],
        }
        append_line(self._files[run_dir.EPISODES], row)

    def _on_rollout_start(self) -> None:
        self._record_update()

    def _on_rollout_end(self) -> None:
        assert isinstance(self.model, OnPolicyAlgorithm)
        self._rollout_columns = {"distinct_tokens": len(np.unique(self.model.rollout_buffer.actions))}
        self._rollout_columns |= self._logged("curriculum/")

    def _logged(self, section: str) -> dict[str, float]:
        """Return the logged values of one section, by name without the section."""
        values = self.logger.name_to_value.items()
        return {name.removeprefix(section): float(value) for name, value in values if name.startswith(section)}

    def _on_training_end(self) -> None:
        self._record_update()
        self.logger.dump(self.num_timesteps)  # SB3 does not write the values of the last update

    def _record_update(self) -> None:
        """Record the values that SB3 logged for the last update, if there was one, and the device utilisation."""
        if not self._rollout_columns:
            return
        percent = device_use(str(self.model.device))
        self.device_use += [] if percent is None else [percent]
        logged = self._logged("train/")
        self._updates += 1
        logged.pop("n_updates", None)
        row = {
            "update": self._updates,
            "episodes": len(self.returns),
            "timesteps": self.num_timesteps,
            "seconds": self.seconds,
            **self._rollout_columns,
        }
        losses = logged | {"loss": self._loss(logged)}
        columns = {name: value if np.isfinite(value) else None for name, value in losses.items()}
        append_line(self._files[run_dir.UPDATES], row | columns)
        self._rollout_columns = {}

    def _loss(self, logged: dict[str, float]) -> float:
        """Return policy, entropy and value loss, weighted by their coefficients; means over the update's minibatches.

        SB3's own `loss` is that of the last minibatch, and only PPO logs it. Losses with weight 0 are omitted: TRPO's
        loss is the policy loss alone, since its value function has a separate optimizer.
        """
        assert isinstance(self.model, OnPolicyAlgorithm)
        loss = next((sign * logged[name] for name, sign in POLICY_LOSSES.items() if name in logged), float("nan"))
        for name, weight in (("entropy_loss", self.model.ent_coef), ("value_loss", self.model.vf_coef)):
            loss += weight * logged.get(name, float("nan")) if weight else 0.0
        return loss

    def close(self) -> None:
        """Close the files; every line has been written already."""
        for file in self._files.values():
            with contextlib.suppress(OSError):  # close() retries a line that could not be written
                file.close()
