"""Finish a training: save its models, evaluate the agent, and write the summary."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.evaluation.scores import evaluate_agent, evaluate_references, score_policy
from agents.evaluation.statistics import WINDOW
from agents.machine.matmul import FLOAT32
from agents.machine.signals import Interrupted, Stopper
from agents.machine.usage import device_memory_mb, load_average, peak_memory_mb
from agents.policies.bf16 import set_linear_precision
from agents.runs import learning_curve, model_files, run_dir
from agents.runs.checkpoints import checkpoint_file, read_checkpoint
from agents.runs.model_card import write_card
from agents.runs.summary import Summary, ValidationScore
from agents.settings.schema import Settings
from agents.training.build import Training
from agents.training.recorder import Recorder
from agents.training.state import policy_weights
from agents.training.validation import Validation, best_of
from token_env.episodes.references import REFERENCES
from token_env.files import write_bytes


def evaluate_final(agent: Agent, training_ids: list[int]) -> dict[str, Any]:
    """Evaluate the trained agent and return the evaluation fields of the summary.

    `evaluation` has the scores of the agent and the reference policies on held-out problems. `training_problems` has
    those of the greedy agent on the last problems of the training, the same number.

    Args:
        agent: Trained agent.
        training_ids: Ids of the training problems at full difficulty, in order.
    """
    split, count = agent.settings.evaluation.split, agent.settings.evaluation.problems
    evaluation = evaluate_agent(agent, split, range(count)) | evaluate_references(agent.task, split, range(count))
    training_problems = score_policy(agent.greedy, agent.task, training_ids[-count:])
    return {"evaluation": evaluation, "training_problems": training_problems}


def training_figures(settings: Settings, device: str, recorder: Recorder, times: tuple[float, float]) -> dict[str, Any]:
    """Return the fields of the summary that need no evaluation.

    Args:
        settings: Settings of the run.
        device: Device of the training.
        recorder: Recorder of the run, after training.
        times: Wall-clock seconds and CPU seconds of the training.
    """
    returns, (seconds, cpu_seconds) = recorder.returns, times
    steps = len(returns) * settings.env.max_steps
    last = returns[-WINDOW:]
    return {
        "algorithm": settings.algorithm,
        "name": settings.name,
        "seed": settings.seed,
        "device": device,
        "episodes": len(returns),
        "steps": steps,
        "training_seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "steps_per_second": round(steps / seconds, 1),
        "mean_last_100": float(np.mean(last)) if last else None,
        "max_return": max(returns) if returns else None,
        "distinct_tokens_last_100": len(np.unique(np.array(recorder.last_tokens))),
        "device_memory_mb": device_memory_mb(device),
        "device_use_percent": float(np.mean(recorder.device_use)) if recorder.device_use else None,
        "peak_memory_mb": peak_memory_mb(),
        "load_at_end": load_average(),
    }


class Result(NamedTuple):
    """The result of a training."""

    run: Path  # directory of the run
    agent: Agent
    summary: Summary  # content of summary.json
    interrupted: int  # number of the signal that stopped the training, then without evaluation; 0 if it finished


def finish(
    path: Path,
    training: Training,
    recorder: Recorder,
    times: tuple[float, float],
    validations: list[Validation],
    stopper: Stopper,
) -> Result:
    """Save the last and the best model, evaluate the agent unless a signal stopped the run, and write the summary.

    Args:
        path: Directory of the run.
        training: Parts of the training, at its end.
        recorder: Recorder of the run.
        times: Wall-clock seconds and CPU seconds of the training.
        validations: All validations of the run.
        stopper: Receiver of the signals.

    Raises:
        SettingError: The weights are not finite.
        OSError: A file cannot be written.
    """
    settings, dynamics, policy = training.settings, training.dynamics, training.model.policy
    model_files.save(path, settings, dynamics, policy)
    fields = training_figures(settings, training.device, recorder, times)
    fields |= save_best(path, training, validations)
    set_linear_precision(policy, FLOAT32)
    agent = Agent(settings, dynamics, policy.to("cpu"))
    full_from = (
        training.curriculum.state.full_from if training.curriculum else 0
    )  # the same ids are other problems at lower levels
    interrupted, evaluation_fields = stopper.signal_number, {}
    if not interrupted:
        try:
            evaluation_fields = evaluate_final(agent, recorder.problem_ids[full_from:])
        except KeyboardInterrupt as stop:
            interrupted = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
    fields |= {"status": "interrupted" if interrupted else "finished"} | evaluation_fields
    fields |= {"full_difficulty_from": full_from} if training.curriculum else {}
    summary = Summary(**fields)
    levels = {name: row.mean_return for name, row in summary.evaluation.items() if name in REFERENCES}
    title = f"{settings.algorithm} {settings.name}, seed {settings.seed}, {dynamics.language.recipe['kind']} language"
    write_bytes(path / run_dir.LEARNING_CURVE, learning_curve.learning_curve(recorder.returns, title, levels))
    write_card(path, summary)
    summary.write(path / run_dir.SUMMARY)  # last: its presence implies that all other files exist
    return Result(path, agent, summary, int(interrupted))


def diverged_result(
    path: Path, training: Training, recorder: Recorder, times: tuple[float, float], validations: list[Validation]
) -> Result:
    """Return the result of a training that diverged, without evaluation; nothing is saved, so it can be resumed.

    The arguments are those of `finish`.
    """
    fields = training_figures(training.settings, training.device, recorder, times)
    summary = Summary(**fields, best=None, validations=_scores(validations), status="diverged")
    agent = Agent(training.settings, training.dynamics, training.model.policy.to("cpu"))
    return Result(path, agent, summary, interrupted=0)


def save_best(path: Path, training: Training, validations: list[Validation]) -> dict[str, Any]:
    """Save the policy with the best validation score as a second model; return its fields of the summary."""
    episodes = best_of(validations)
    if episodes is None:
        return {"best": None}
    best: Any = build_policy(training.settings, training.dynamics)
    best.load_state_dict(policy_weights(read_checkpoint(checkpoint_file(path, episodes))), strict=False)
    (path / run_dir.BEST).mkdir(exist_ok=True)
    model_files.save(path / run_dir.BEST, training.settings, training.dynamics, best)
    scores = _scores(validations)
    return {"best": next(score for score in scores if score.episodes == episodes), "validations": scores}


def _scores(validations: list[Validation]) -> tuple[ValidationScore, ...]:
    return tuple(ValidationScore(episodes=played, mean_return=value) for played, value in validations)
