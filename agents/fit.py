"""Train: the one place that lets models learn, with what records, guards and saves, and leaves a run behind."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from gymnasium.error import InvalidAction
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure

from agents import checkpoints, plots, run_dir
from agents.agent import Agent
from agents.algorithms import build_policy
from agents.build import Training, begin_weights, build, first_files, resolved
from agents.callbacks import Recorder
from agents.devices import device_reason, resolve_device
from agents.generators import set_generators, untouched_generators
from agents.guards import TrainingError, UpdateGuard, check_weights
from agents.model_card import write_card
from agents.precision import FLOAT32, multiply_in
from agents.progress import ProgressDisplay
from agents.provenance import peak_memory_mb, provenance
from agents.saver import Saver, Validation, best_of
from agents.scores import held_out
from agents.settings import CheckpointSettings, Settings
from agents.signals import Interrupted, Stopped, Stopper
from agents.state_files import State, read_state, state_file, state_files
from agents.summary import Clock, final_scores, training_summary
from agents.training_state import policy_weights, read_training, restore_logged
from token_env.evaluate import evaluate
from token_env.files import write_bytes
from token_env.references import REFERENCES


class Result(NamedTuple):
    """What a training leaves behind."""

    run: Path  # the directory of the run
    agent: Agent
    summary: dict[str, Any]  # what summary.json holds
    interrupted: int  # the number of the signal that ended it early; then the summary has no evaluation; else 0


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
        settings = resolved(settings)
        device, reason = resolve_device(settings.device), device_reason(settings.device)
        training = build(settings, device)
        origin = begin_weights(training)
        path = Path(directory or run_dir.default_path(settings.algorithm, settings.name, settings.seed))
        made = provenance(device, reason) | {"products": training.products._asdict()} | origin
        run_dir.create(path, first_files(training, made))
        if progress:
            print(f"device: {device} ({reason})", file=sys.stderr)
        with run_dir.sole_writer(path):
            return train(path, training, Recorder(path), None, stopper, progress)


def practise(settings: Settings, watched_by: Callable[[Agent], BaseCallback]) -> Agent:
    """Train as `fit` does and leave no files behind.

    Args:
        settings: everything that the training depends on.
        watched_by: makes a callback of the agent that is going to learn, which it may evaluate at any time.

    Raises:
        SettingError: settings that cannot be used.
    """
    settings = resolved(settings)
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
    path: Path, training: Training, recorder: Recorder, state: State | None, stopper: Stopper, progress: bool
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
        run_dir.let_the_second_pass(path)
        training.model.set_logger(configure(str(path / run_dir.TENSORBOARD), ["tensorboard"]))
        if progress or products.refused:
            print(products.told, file=sys.stderr)
        clock = Clock(tuple(facts["clock"]))
        validations = [(int(episodes), float(value)) for episodes, value in facts["validations"]]

        def read() -> State:
            return whole_state(training, recorder, clock, validations)

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
        with display:
            model.learn(left, callback=callbacks, log_interval=1, reset_num_timesteps=not going_on)
    except Stopped:
        pass


def whole_state(training: Training, recorder: Recorder, clock: Clock, validations: list[Validation]) -> State:
    """Everything that a training needs to go on, between two rollouts."""
    state = read_training(training.model, training.env)
    told = {
        "settings": training.settings.to_dict(),
        "language": training.dynamics.language.fingerprint,
        "episodes": len(recorder.returns),
        "clock": clock.read(),
        "recorder": recorder.facts(),
        "curriculum": training.curriculum.state._asdict() if training.curriculum else None,
        "validations": validations,
    }
    return State(state.tensors, state.facts | told)


def checkpoint_settings(settings: Settings) -> CheckpointSettings:
    """What is kept of the training; a run that plays the validation problems is not validated on them."""
    chosen = settings.checkpoints
    return chosen.model_copy(update={"validations": 0}) if settings.env.split == "validation" else chosen


def validate(training: Training) -> float:
    """The mean return of the policy on validation problems, its most probable tokens; nothing else changes."""
    settings, policy = training.settings, training.model.policy
    with untouched_generators(training.device):
        multiply_in(policy, FLOAT32)
        agent = Agent(settings, training.dynamics, policy)
        problems = range(settings.checkpoints.problems)
        played = evaluate(agent.greedy, problems, task=held_out(agent.task, "validation"))
        multiply_in(policy, training.products.precision)
    return played.mean_return


def finish(
    path: Path,
    training: Training,
    recorder: Recorder,
    taken: tuple[float, float],
    validations: list[Validation],
    stopper: Stopper,
) -> Result:
    """Save the model and the best one, evaluate unless a signal ended the run, sum it up."""
    settings, dynamics, policy = training.settings, training.dynamics, training.model.policy
    check_weights(checkpoints.own_weights(policy))
    checkpoints.save(path, settings, dynamics, policy)
    summary = training_summary(settings, training.device, recorder, taken) | {"peak_memory_mb": peak_memory_mb()}
    summary |= save_best(path, training, validations)
    multiply_in(policy, FLOAT32)
    agent = Agent(settings, dynamics, policy.to("cpu"))
    full_from = training.curriculum.state.full_from if training.curriculum else 0  # before, ids meant other problems
    interrupted, evaluated = stopper.asked, {}
    if not interrupted:
        try:
            evaluated = final_scores(agent, recorder.problem_ids[full_from:])
        except KeyboardInterrupt as stop:
            interrupted = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
    levels = {name: row["mean_return"] for name, row in evaluated.get("evaluation", {}).items() if name in REFERENCES}
    title = f"{settings.algorithm} {settings.name}, seed {settings.seed}, {dynamics.language.recipe['kind']} language"
    write_bytes(path / run_dir.LEARNING_CURVE, plots.learning_curve(recorder.returns, title, levels))
    summary |= {"status": "interrupted" if interrupted else "finished"} | evaluated
    summary |= {"full_difficulty_from": full_from} if training.curriculum else {}
    write_card(path, summary)
    run_dir.write_json(path / run_dir.SUMMARY, summary)  # the last file: whoever finds it finds the others
    return Result(path, agent, summary, int(interrupted))


def save_best(path: Path, training: Training, validations: list[Validation]) -> dict[str, Any]:
    """Save the policy that did best on validation problems as a model of its own; what the summary says of it."""
    episodes = best_of(validations)
    if episodes is None:
        return {"best": None}
    best: Any = build_policy(training.settings, training.dynamics)
    best.load_state_dict(policy_weights(read_state(state_file(path, episodes))), strict=False)
    (path / run_dir.BEST).mkdir(exist_ok=True)
    checkpoints.save(path / run_dir.BEST, training.settings, training.dynamics, best)
    told = [{"episodes": played, "mean_return": value} for played, value in validations]
    return {"best": {"episodes": episodes, "mean_return": dict(validations)[episodes]}, "validations": told}


def last_good(path: Path) -> str:
    """Which checkpoint there is to go on from, in a sentence."""
    files = state_files(path)
    return f"The last good checkpoint is {str(files[-1])!r}." if files else "There is no checkpoint yet."


def resume_command(path: Path) -> str:
    """What to type to go on with a run."""
    return f"python -m agents.train --resume {path}"
