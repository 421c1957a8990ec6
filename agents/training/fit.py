"""Train a model and write its run directory, or train in memory. All training in the project starts here."""

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
from agents.machine.speeds import faster_device
from agents.machine.usage import Clock
from agents.policies.bf16 import set_linear_precision
from agents.policies.compiled import COMPILING
from agents.runs import run_dir
from agents.runs.checkpoints import Checkpoint, checkpoint_files
from agents.runs.metrics import wait_for_new_tensorboard_filename
from agents.runs.summary import RunRecord
from agents.settings.schema import Settings
from agents.training.build import Training, build, initial_files, load_initial_weights, resolve_settings
from agents.training.finish import Result, diverged_result, finish
from agents.training.guards import DivergedError, TrainingError, UpdateGuard
from agents.training.progress import ProgressDisplay
from agents.training.recorder import Recorder
from agents.training.saver import Saver
from agents.training.state import make_checkpoint, restore_logger
from agents.training.validation import checkpoint_settings, validate
from token_env.rules.rewards import find_reward

INVALID_LOGITS = "Expected parameter"  # how torch begins its error where a distribution gets logits that are not finite


def fit(settings: Settings, directory: str | Path | None = None, progress: bool = True) -> Result:
    """Train, evaluate and save a run. SIGINT or SIGTERM stops it after a checkpoint, from which `resume` continues.

    Args:
        settings: All settings of the run.
        directory: New directory of the run; `runs/<algorithm>-<name>-<seed>-<time>` if None.
        progress: Whether to display the progress on stderr.

    Raises:
        SettingError: The settings cannot be used; nothing has been written.
        DivergedError: A loss, a gradient, a logit or a weight is not finite.
        TrainingError: A reward is not finite, an action is invalid, or the directory became unwritable.
        Interrupted: A signal arrived before training started, or a second signal arrived.
    """
    with Stopper() as stopper:
        settings = resolve_settings(settings)
        device, reason = resolve_device(settings.device), device_reason(settings.device)
        if progress and settings.compile:
            print(COMPILING, file=sys.stderr)
        training = build(settings, device)
        origin = load_initial_weights(training)
        path = Path(directory or run_dir.default_path(settings.algorithm, settings.name, settings.seed))
        record = RunRecord(**provenance(device, reason), products=training.products._asdict(), **origin)
        run_dir.create_run_dir(path, initial_files(training, record))
        if progress:
            print(f"device: {device} ({reason})", file=sys.stderr)
            if settings.device == "auto" and (faster := faster_device(settings.name, device)):
                print(faster, file=sys.stderr)
        with run_dir.exclusive_writer(path):
            return train(path, training, Recorder(path), None, stopper, progress)


def train_in_memory(settings: Settings, make_callback: Callable[[Agent], BaseCallback]) -> Agent:
    """Train as `fit` does, but write no files.

    Args:
        settings: All settings of the training.
        make_callback: Returns a training callback for the untrained agent. The callback may evaluate this agent, whose
            weights change with the training.

    Returns:
        The trained agent, on the CPU.

    Raises:
        SettingError: The settings cannot be used.
    """
    settings = resolve_settings(settings)
    training = build(settings, resolve_device(settings.device))
    load_initial_weights(training)
    policy = training.model.policy
    callback = make_callback(Agent(settings, training.dynamics, policy))
    callbacks = [*([training.curriculum] if training.curriculum else []), callback]
    with training.products.in_use():
        training.model.learn(settings.episodes * settings.env.max_steps, callback=callbacks)
    set_linear_precision(policy, FLOAT32)
    return Agent(settings, training.dynamics, policy.to("cpu"))


def train(
    path: Path, training: Training, recorder: Recorder, checkpoint: Checkpoint | None, stopper: Stopper, progress: bool
) -> Result:
    """Train until all episodes are played or a signal arrives, then finish the run. The caller locks the directory.

    Args:
        path: Directory of the run.
        training: Parts of the training, restored from the checkpoint except random generators and logger.
        recorder: Recorder of the run, restored from the checkpoint.
        checkpoint: Checkpoint to continue from; None starts from the beginning.
        stopper: Receiver of the signals.
        progress: Whether to display the progress on stderr.

    Raises:
        DivergedError: A loss, a gradient, a logit or a weight is not finite.
        TrainingError: A reward is not finite, an action is invalid, or the directory became unwritable.
        Interrupted: A second signal arrived.
    """
    settings, products = training.settings, training.products
    metadata: dict[str, Any] = checkpoint.metadata if checkpoint else {"clock": (0.0, 0.0), "validations": []}
    try:
        wait_for_new_tensorboard_filename(path)
        training.model.set_logger(configure(str(path / run_dir.TENSORBOARD), ["tensorboard"]))
        if progress or products.refused:
            print(products.description, file=sys.stderr)
        clock = Clock(tuple(metadata["clock"]))
        validations = [(int(episodes), float(value)) for episodes, value in metadata["validations"]]

        def capture() -> Checkpoint:
            return make_checkpoint(training, recorder, clock, validations)

        saver = Saver(
            path, checkpoint_settings(settings), settings.episodes, settings.env.max_steps,
            stopper, capture, lambda: validate(training), validations,
        )  # fmt: skip
        with products.in_use(), stopper.deferring():
            if checkpoint:
                restore_logger(training.model, checkpoint)
                set_generators(metadata["generators"], training.device)
            learn(training, recorder, saver, progress, resumed=checkpoint is not None)
        return finish(path, training, recorder, clock.read(), validations, stopper)
    except DivergedError as error:
        result = diverged_result(path, training, recorder, clock.read(), validations)
        raise DivergedError(f"{error} {describe_last_checkpoint(path)}", result) from error
    except (TrainingError, InvalidAction) as error:
        raise TrainingError(f"{error} {describe_last_checkpoint(path)}") from error
    except OSError as error:
        raise TrainingError(
            f"cannot write into {str(path)!r}: {error.strerror}. {describe_last_checkpoint(path)} "
            f"Free some disk space, then type\n{resume_command(path, settings)}"
        ) from error
    except Interrupted as stop:
        stop.advice = f"to resume, type\n{resume_command(path, settings)}"
        raise
    finally:
        recorder.close()


def learn(training: Training, recorder: Recorder, saver: Saver, progress: bool, resumed: bool) -> None:
    """Train for the remaining episodes of the run, or until a signal stops it.

    Args:
        training: Parts of the training.
        recorder: Recorder of the run.
        saver: Callback that writes checkpoints and stops after a signal.
        progress: Whether to display the progress on stderr.
        resumed: Whether the model continues from a checkpoint.

    Raises:
        DivergedError: A loss, a gradient, a logit or a weight is not finite.
    """
    model, settings = training.model, training.settings
    display = ProgressDisplay(recorder, settings.episodes)
    before: list[BaseCallback] = [UpdateGuard(), *([training.curriculum] if training.curriculum else [])]
    callbacks = [*before, recorder, saver, *([display] if progress else [])]
    remaining_steps = settings.episodes * settings.env.max_steps - model.num_timesteps
    try:
        with display.display:
            model.learn(remaining_steps, callback=callbacks, log_interval=1, reset_num_timesteps=not resumed)
    except Stopped:
        pass
    except ValueError as error:
        if str(error).startswith(INVALID_LOGITS):
            raise DivergedError(f"the update after step {model.num_timesteps}: its logits are not finite.") from error
        raise


def describe_last_checkpoint(path: Path) -> str:
    """Return a sentence that names the last checkpoint of a run."""
    files = checkpoint_files(path)
    return f"The last good checkpoint is {str(files[-1])!r}." if files else "There is no checkpoint yet."


def resume_command(path: Path, settings: Settings) -> str:
    """Return the command that resumes a run of these settings."""
    reward = settings.env.reward
    typed_again = f" --reward {reward}" if find_reward(reward).is_users else ""
    return f"python -m agents.train --resume {run_dir.as_typed(path)}{typed_again}"
