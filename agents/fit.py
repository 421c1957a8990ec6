"""Train: the one place that builds environment, model and callbacks, and leaves a finished run behind."""

import dataclasses
import platform
import resource
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import configs
from agents import checkpoints, plots, run_dir
from agents.algorithms import algorithm_settings, build_model, check_budget
from agents.callbacks import WINDOW, Recorder
from agents.checkpoints import Agent
from agents.devices import resolve_device
from agents.progress import ProgressDisplay
from agents.scores import evaluate_agent, evaluate_references
from agents.settings import Settings
from agents.vec_env import TokenVecEnv
from token_env.dynamics import Dynamics
from token_env.errors import SettingError
from token_env.references import REFERENCES
from token_env.task import Task

LIBRARIES = ("tokentask", "gymnasium", "stable-baselines3", "torch", "numpy", "scipy")


class Result(NamedTuple):
    """What a training leaves behind."""

    run: Path  # the directory of the run
    agent: Agent
    summary: dict[str, Any]  # what summary.json holds
    interrupted: bool  # by Ctrl-C; then the summary has no evaluation


def fit(settings: Settings, directory: str | Path | None = None, progress: bool = True) -> Result:
    """Train, evaluate and save a run.

    Args:
        settings: everything that the run depends on.
        directory: where it goes, must not exist; `runs/<algorithm>-<name>-<seed>-<time>` if None.
        progress: whether to show how it is getting on.

    Raises:
        SettingError: settings that cannot be used; then nothing is written.
    """
    check_budget(settings)
    settings = resolved(settings)
    device = resolve_device(settings.device)
    env = TokenVecEnv(algorithm_settings(settings).n_envs, **keywords_of(settings.env))
    dynamics = Dynamics(dataclasses.replace(settings.env, language=env.vector_env.language))
    model = build_model(settings, env, dynamics.language.log_unigram, device)
    env.seed(environment_seed(settings.seed))

    default = run_dir.default_path(settings.algorithm, settings.name, settings.seed)
    path = run_dir.create(default if directory is None else Path(directory))
    run_dir.write_text(path / run_dir.CONFIG, configs.dump(settings.to_dict()))
    run_dir.write_json(path / run_dir.RUN, provenance(device))
    model.set_logger(configure(str(path / run_dir.TENSORBOARD), ["tensorboard"]))
    recorder = Recorder(path)
    started = time.monotonic()
    finished = learn(model, settings, recorder, progress)
    seconds = time.monotonic() - started

    checkpoints.save(path, settings, dynamics, model.policy)
    agent = Agent(settings, dynamics, model.policy.to("cpu"))
    scores = held_out_scores(agent) if finished else None
    summary = training_summary(settings, device, recorder, seconds)
    summary |= {"status": "interrupted" if scores is None else "finished", "peak_memory_mb": peak_memory_mb()}
    summary |= {} if scores is None else {"evaluation": scores}
    run_dir.write_json(path / run_dir.SUMMARY, summary)
    levels = {name: row["mean_return"] for name, row in (scores or {}).items() if name in REFERENCES}
    title = f"{settings.algorithm} {settings.name}, seed {settings.seed}, {dynamics.language.recipe['kind']} language"
    run_dir.write_bytes(path / run_dir.LEARNING_CURVE, plots.learning_curve(recorder.returns, title, levels))
    return Result(path, agent, summary, interrupted=scores is None)


def resolved(settings: Settings) -> Settings:
    """The settings with what follows from others filled in: the shaping's discount, the whole path of a text.

    Raises:
        SettingError: a discount of the environment that contradicts the agent's.
    """
    env, gamma = settings.env, algorithm_settings(settings).gamma
    if env.discount not in (Task.discount, gamma):
        raise SettingError(
            f"env.discount={env.discount:g} differs from {settings.algorithm}.gamma={gamma:g}, the agent's; "
            f"leave it out, or type --set env.discount={gamma:g}."
        )
    changes: dict[str, Any] = {"discount": gamma}
    kind, _, text = str(env.language).partition(":")
    if kind == "text":
        changes["language"] = f"text:{Path(text).expanduser().absolute()}"
    return settings.model_copy(update={"env": dataclasses.replace(env, **changes)})


def learn(model: OnPolicyAlgorithm, settings: Settings, recorder: Recorder, progress: bool) -> bool:
    """Play the run's episodes; False if Ctrl-C ended it early."""
    display = ProgressDisplay(recorder, settings.episodes)
    callbacks: list[BaseCallback] = [recorder, display] if progress else [recorder]
    try:
        with display:
            model.learn(settings.episodes * settings.env.max_steps, callback=callbacks, log_interval=1)
        return True
    except KeyboardInterrupt:
        return False
    finally:
        recorder.close()


def held_out_scores(agent: Agent) -> dict[str, Any] | None:
    """The figures of the agent and of the reference policies on held-out problems; None if Ctrl-C ended it early."""
    split, ids = agent.settings.evaluation.split, range(agent.settings.evaluation.problems)
    try:
        return evaluate_agent(agent, split, ids) | evaluate_references(agent.task, split, ids)
    except KeyboardInterrupt:
        return None


def keywords_of(task: Task) -> dict[str, Any]:
    """The task as keywords of an environment."""
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}


def environment_seed(seed: int) -> int:
    """A seed for the first row of the batch, such that runs of neighbouring seeds share no problems.

    Row i is seeded with the result + i, by Gymnasium's convention.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


def training_summary(settings: Settings, device: str, recorder: Recorder, seconds: float) -> dict[str, Any]:
    """The figures of the training itself."""
    returns = recorder.returns
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
        "steps_per_second": round(steps / seconds, 1),
        "mean_last_100": float(np.mean(last)) if last else None,
        "max_return": max(returns) if returns else None,
        "distinct_tokens_last_100": len(np.unique(np.array(recorder.last_tokens))),
    }


def provenance(device: str) -> dict[str, Any]:
    """What the run was made with: command, versions, machine."""
    return {
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in LIBRARIES},
        "machine": {"system": platform.platform(), "processor": platform.machine(), "device": device},
        "threads": torch.get_num_threads(),
    }


def peak_memory_mb() -> float:
    """The most resident memory this process has used, in MB (10⁶ bytes)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak * (1 if sys.platform == "darwin" else 1024) / 1e6, 1)  # bytes on macOS, KiB elsewhere
