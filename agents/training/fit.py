"""Train: the one place that lets models learn, with what records, guards and saves, and leaves a run behind."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gymnasium.error import InvalidAction
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from agents.evaluation.agent import Agent
from agents.machine.devices import device_reason, resolve_device
from agents.machine.matmul import FLOAT32
from agents.machine.provenance import provenance
from agents.machine.random_states import set_generators
from agents.machine.signals import Interrupted, Stopped, Stopper
from agents.machine.usage import Clock
from agents.policies.bf16 import multiply_in
from agents.runs import run_dir
from agents.runs.checkpoints import Checkpoint, checkpoint_files
from agents.runs.metrics import wait_for_new_tensorboard_filename
from agents.runs.summary import RunRecord
from agents.settings.schema import Settings
from agents.training.build import Training, begin_weights, build, first_files, resolve_settings
from agents.training.finish import Result, finish
from agents.training.guards import TrainingError, UpdateGuard
from agents.training.progress import ProgressDisplay
from agents.training.recorder import Recorder
from agents.training.saver import Saver
from agents.training.state import make_checkpoint, restore_logged
from agents.training.validation import checkpoint_settings, validate


def fit(settings: Settings, directory: str | Path | None = None, progress: bool = True) -> Result:
    """Train, evaluate and save a run; SIGINT and SIGTERM end it early, saved so that `agents.resume` can go on.

    Args:
        settings: everything that the run depends on.
        directory: where it goes, must not exist; `runs/<algorithm>-<name>-<seed>-<time>` if None.
        progress: whether to show how it is getting on.

    Raises:
        SettingError: settings that cannot be used; then nothing is written.
        TrainingError: a number that is not finite, or a directory that cannot be written any more.
        Interrupted: a signal before training began, or a second one.
    """
    with Stopper() as stopper:
        settings = resolve_settings(settings)
        device, reason = resolve_device(settings.device), device_reason(settings.device)
        training = build(settings, device)
        origin = begin_weights(training)
        path = Path(directory or run_dir.default_path(settings.algorithm, settings.name, settings.seed))
        record = RunRecord(**provenance(device, reason), products=training.products._asdict(), **origin)
        run_dir.create_run_dir(path, first_files(training, record))
        if progress:
            print(f"device: {device} ({reason})", file=sys.stderr)
        with run_dir.exclusive_writer(path):
            return train(path, training, Recorder(path), None, stopper, progress)


def train_in_memory(settings: Settings, watched_by: Callable[[Agent], BaseCallback]) -> Agent:
    """Train as `fit` does and leave no files behind.

    Args:
        settings: everything that the training depends on.
        watched_by: makes a callback of the agent that is going to learn, which it may evaluate at any time.

    Raises:
        SettingError: settings that cannot be used.
    """
    settings = resolve_settings(settings)
    training = build(settings, resolve_device(settings.device))
    begin_weights(training)
    policy = training.model.policy
    watching = watched_by(Agent(settings, training.dynamics, policy))
    callbacks = [*([training.curriculum] if training.curriculum else []), watching]
    with training.products.in_use():
        training.model.learn(settings.episodes * settings.env.max_steps, callback=callbacks)
    multiply_in(policy, FLOAT32)
    return Agent(settings, training.dynamics, policy.to("cpu"))


def train(
    path: Path, training: Training, recorder: Recorder, state: Checkpoint | None, stopper: Stopper, progress: bool
) -> Result:
    """Train in the directory of a run, of which nobody else trains, to the end of its episodes or to a signal.

    Args:
        path: of the run.
        training: what trains; in that state but for generators and logger.
        recorder: of the run, in that state.
        state: to go on from; from the beginning if None.
        stopper: receives the signals.
        progress: whether to show how it is getting on.

    Raises:
        TrainingError: a number that is not finite, or a directory that cannot be written any more.
        Interrupted: a second signal.
    """
    settings, products = training.settings, training.products
    facts: dict[str, Any] = state.facts if state else {"clock": (0.0, 0.0), "validations": []}
    try:
        wait_for_new_tensorboard_filename(path)
        training.model.set_logger(configure(str(path / run_dir.TENSORBOARD), ["tensorboard"]))
        if progress or products.refused:
            print(products.told, file=sys.stderr)
        clock = Clock(tuple(facts["clock"]))
        validations = [(int(episodes), float(value)) for episodes, value in facts["validations"]]

        def read() -> Checkpoint:
            return make_checkpoint(training, recorder, clock, validations)

        saver = Saver(
            path, checkpoint_settings(settings), settings.episodes, settings.env.max_steps,
            stopper, read, lambda: validate(training), validations,
        )  # fmt: skip
        with products.in_use(), stopper.deferring():
            if state:
                restore_logged(training.model, state)
                set_generators(facts["generators"], training.device)
            learn(training, recorder, saver, progress, going_on=state is not None)
        return finish(path, training, recorder, clock.read(), validations, stopper)
    except (TrainingError, InvalidAction) as error:
        raise TrainingError(f"{error} {last_good(path)}") from error
    except OSError as error:
        raise TrainingError(
            f"cannot write into {str(path)!r}: {error.strerror}. {last_good(path)} "
            f"Make room, then type\n{resume_command(path)}"
        ) from error
    except Interrupted as stop:
        stop.advice = f"to go on with it, type\n{resume_command(path)}"
        raise
    finally:
        recorder.close()


def learn(training: Training, recorder: Recorder, saver: Saver, progress: bool, going_on: bool) -> None:
    """Play the episodes of the run that have not been played, or those up to where a signal asked to stop."""
    model, settings = training.model, training.settings
    display = ProgressDisplay(recorder, settings.episodes)
    first: list[BaseCallback] = [UpdateGuard(), *([training.curriculum] if training.curriculum else [])]
    callbacks = [*first, recorder, saver, *([display] if progress else [])]
    left = settings.episodes * settings.env.max_steps - model.num_timesteps
    try:
        with display.display:
            model.learn(left, callback=callbacks, log_interval=1, reset_num_timesteps=not going_on)
    except Stopped:
        pass


def last_good(path: Path) -> str:
    """Which checkpoint there is to go on from, in a sentence."""
    files = checkpoint_files(path)
    return f"The last good checkpoint is {str(files[-1])!r}." if files else "There is no checkpoint yet."


def resume_command(path: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m agents.train --resume {path}"
