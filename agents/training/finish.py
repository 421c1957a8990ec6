"""Sum a training up: its figures, what its agent scores, how long it took."""

import signal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from agents.algorithms.models import build_policy
from agents.evaluation.agent import Agent
from agents.evaluation.scores import evaluate_agent, evaluate_references, policy_figures
from agents.evaluation.statistics import WINDOW
from agents.machine.matmul import FLOAT32
from agents.machine.signals import Interrupted, Stopper
from agents.machine.usage import device_memory_mb, peak_memory_mb
from agents.policies.bf16 import multiply_in
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


def evaluate_final(agent: Agent, trained_on: list[int]) -> dict[str, Any]:
    """Evaluate the trained agent: the fields of the summary that say what it earns.

    `evaluation`: the agent and the reference policies on held-out problems; `training_problems`: the agent, greedy,
    on as many of the problems that it played last in training.
    """
    split, count = agent.settings.evaluation.split, agent.settings.evaluation.problems
    held_out = evaluate_agent(agent, split, range(count)) | evaluate_references(agent.task, split, range(count))
    seen = policy_figures(agent.greedy, agent.task, trained_on[-count:])
    return {"evaluation": held_out, "training_problems": seen}


def training_figures(settings: Settings, device: str, recorder: Recorder, taken: tuple[float, float]) -> dict[str, Any]:
    """Sum up the training itself: the fields of the summary that need no evaluation.

    Args:
        settings: of the run.
        device: that it trained on.
        recorder: of the run, at its end.
        taken: seconds of wall-clock time, and of processor time.
    """
    returns, (seconds, cpu_seconds) = recorder.returns, taken
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
    }


class Result(NamedTuple):
    """What a training leaves behind."""

    run: Path  # the directory of the run
    agent: Agent
    summary: Summary  # what summary.json holds
    interrupted: int  # the number of the signal that ended it early; then the summary has no evaluation; else 0


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
    model_files.save(path, settings, dynamics, policy)
    fields = training_figures(settings, training.device, recorder, taken) | {"peak_memory_mb": peak_memory_mb()}
    fields |= save_best(path, training, validations)
    multiply_in(policy, FLOAT32)
    agent = Agent(settings, dynamics, policy.to("cpu"))
    full_from = training.curriculum.state.full_from if training.curriculum else 0  # before, ids meant other problems
    interrupted, evaluated = stopper.asked, {}
    if not interrupted:
        try:
            evaluated = evaluate_final(agent, recorder.problem_ids[full_from:])
        except KeyboardInterrupt as stop:
            interrupted = stop.number if isinstance(stop, Interrupted) else signal.SIGINT
    fields |= {"status": "interrupted" if interrupted else "finished"} | evaluated
    fields |= {"full_difficulty_from": full_from} if training.curriculum else {}
    summary = Summary(**fields)
    levels = {name: row.mean_return for name, row in summary.evaluation.items() if name in REFERENCES}
    title = f"{settings.algorithm} {settings.name}, seed {settings.seed}, {dynamics.language.recipe['kind']} language"
    write_bytes(path / run_dir.LEARNING_CURVE, learning_curve.learning_curve(recorder.returns, title, levels))
    write_card(path, summary)
    summary.write(path / run_dir.SUMMARY)  # the last file: whoever finds it finds the others
    return Result(path, agent, summary, int(interrupted))


def save_best(path: Path, training: Training, validations: list[Validation]) -> dict[str, Any]:
    """Save the policy that did best on validation problems as a model of its own; return its fields of the summary."""
    episodes = best_of(validations)
    if episodes is None:
        return {"best": None}
    best: Any = build_policy(training.settings, training.dynamics)
    best.load_state_dict(policy_weights(read_checkpoint(checkpoint_file(path, episodes))), strict=False)
    (path / run_dir.BEST).mkdir(exist_ok=True)
    model_files.save(path / run_dir.BEST, training.settings, training.dynamics, best)
    scores = [ValidationScore(episodes=played, mean_return=value) for played, value in validations]
    return {"best": next(score for score in scores if score.episodes == episodes), "validations": scores}
