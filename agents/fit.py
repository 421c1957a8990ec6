"""Train: the one place that builds environment, model and callbacks, and leaves a finished run behind."""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import configure
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import configs
from agents import checkpoints, plots, run_dir
from agents.agent import Agent
from agents.algorithms import algorithm_settings, build_model, check_budget, find_algorithm
from agents.callbacks import WINDOW, Recorder
from agents.curriculum import Curriculum, Schedule
from agents.devices import device_memory_mb, device_reason, resolve_device
from agents.precision import FLOAT32, choose_products, multiply_in
from agents.progress import ProgressDisplay
from agents.provenance import peak_memory_mb, provenance
from agents.scores import evaluate_agent, evaluate_references, policy_figures
from agents.settings import Settings
from agents.transfer import start_from
from agents.vec_env import TokenVecEnv
from token_env.dynamics import Dynamics
from token_env.errors import SettingError
from token_env.files import write_bytes
from token_env.references import REFERENCES
from token_env.task import Task


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
    device, reason = resolve_device(settings.device), device_reason(settings.device)
    products = choose_products(settings.matmul, settings.precision, device)
    env = TokenVecEnv(algorithm_settings(settings).n_envs, **keywords_of(settings.env))
    dynamics = Dynamics(dataclasses.replace(settings.env, language=env.vector_env.language))
    model = build_model(settings, env, dynamics, device)
    origin = {"from": start_from(settings.from_run, settings, dynamics, model.policy)} if settings.from_run else {}
    multiply_in(model.policy, products.precision)
    env.seed(environment_seed(settings.seed))
    curriculum = Curriculum(Schedule(settings), env) if settings.curriculum.enabled else None

    default = run_dir.default_path(settings.algorithm, settings.name, settings.seed)
    path = run_dir.create(default if directory is None else Path(directory))
    run_dir.write_text(path / run_dir.CONFIG, configs.dump(settings.to_dict()))
    run_dir.write_json(path / run_dir.RUN, provenance(device, reason) | {"products": products._asdict()} | origin)
    model.set_logger(configure(str(path / run_dir.TENSORBOARD), ["tensorboard"]))
    recorder = Recorder(path)
    if progress or products.refused:
        print(f"device: {device} ({reason})\n{products.told}", file=sys.stderr)
    clock = Clock()
    with products.in_use():
        finished = learn(model, settings, recorder, progress, [curriculum] if curriculum else [])
    taken = clock.read()

    checkpoints.save(path, settings, dynamics, model.policy)
    multiply_in(model.policy, FLOAT32)
    agent = Agent(settings, dynamics, model.policy.to("cpu"))
    full_from = curriculum.state.full_from if curriculum else 0  # before, other problems had the same ids
    evaluated = final_scores(agent, recorder.problem_ids[full_from:]) if finished else None
    summary = training_summary(settings, device, recorder, taken)
    summary |= {"status": "interrupted" if evaluated is None else "finished", "peak_memory_mb": peak_memory_mb()}
    summary |= {"full_difficulty_from": full_from} if curriculum else {}
    summary |= evaluated or {}
    run_dir.write_json(path / run_dir.SUMMARY, summary)
    held_out = summary.get("evaluation", {})
    levels = {name: row["mean_return"] for name, row in held_out.items() if name in REFERENCES}
    title = f"{settings.algorithm} {settings.name}, seed {settings.seed}, {dynamics.language.recipe['kind']} language"
    write_bytes(path / run_dir.LEARNING_CURVE, plots.learning_curve(recorder.returns, title, levels))
    return Result(path, agent, summary, interrupted=evaluated is None)


def resolved(settings: Settings) -> Settings:
    """The settings with what follows from others filled in: the shaping's discount, whole paths of a text and a run.

    Raises:
        SettingError: a discount of the environment that contradicts the agent's.
    """
    env, gamma = settings.env, algorithm_settings(settings).gamma
    if env.discount not in (Task.discount, gamma):
        section = find_algorithm(settings.algorithm).section
        raise SettingError(
            f"env.discount={env.discount:g} differs from {section}.gamma={gamma:g}, the agent's; "
            f"leave it out, or type --set env.discount={gamma:g}."
        )
    changes: dict[str, Any] = {"discount": gamma}
    kind, _, text = str(env.language).partition(":")
    if kind == "text":
        changes["language"] = f"text:{Path(text).expanduser().absolute()}"
    begun = settings.from_run and str(Path(settings.from_run).expanduser().absolute())
    return settings.model_copy(update={"env": dataclasses.replace(env, **changes), "from_run": begun})


def learn(
    model: OnPolicyAlgorithm, settings: Settings, recorder: Recorder, progress: bool, first: list[BaseCallback]
) -> bool:
    """Play the run's episodes, calling `first` before the recorder; False if Ctrl-C ended it early."""
    display = ProgressDisplay(recorder, settings.episodes)
    callbacks: list[BaseCallback] = [*first, recorder, display] if progress else [*first, recorder]
    try:
        with display:
            model.learn(settings.episodes * settings.env.max_steps, callback=callbacks, log_interval=1)
        return True
    except KeyboardInterrupt:
        return False
    finally:
        recorder.close()


def final_scores(agent: Agent, trained_on: list[int]) -> dict[str, Any] | None:
    """What the summary says of the trained agent; None if Ctrl-C ended it early.

    `evaluation`: the agent and the reference policies on held-out problems; `training_problems`: the agent, greedy,
    on as many of the problems that it played last in training.
    """
    split, count = agent.settings.evaluation.split, agent.settings.evaluation.problems
    try:
        held_out = evaluate_agent(agent, split, range(count)) | evaluate_references(agent.task, split, range(count))
        seen = policy_figures(agent.greedy, agent.task, trained_on[-count:])
    except KeyboardInterrupt:
        return None
    return {"evaluation": held_out, "training_problems": seen}


def keywords_of(task: Task) -> dict[str, Any]:
    """The task as keywords of an environment."""
    return {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}


def environment_seed(seed: int) -> int:
    """A seed for the first row of the batch, such that runs of neighbouring seeds share no problems.

    Row i is seeded with the result + i, by Gymnasium's convention.
    """
    return int(np.random.SeedSequence(seed).generate_state(1)[0])


class Clock:
    """Measures what passes from its making: wall-clock seconds, and seconds of processor time of all threads."""

    def __init__(self) -> None:
        self._started = time.monotonic(), time.process_time()

    def read(self) -> tuple[float, float]:
        """Wall-clock and processor seconds so far."""
        return time.monotonic() - self._started[0], time.process_time() - self._started[1]


def training_summary(settings: Settings, device: str, recorder: Recorder, taken: tuple[float, float]) -> dict[str, Any]:
    """The figures of the training itself, which took so many seconds of wall-clock and of processor time."""
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
