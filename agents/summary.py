"""Sum a training up: its figures, what its agent scores, how long it took."""

import time
from typing import Any

import numpy as np

from agents.agent import Agent
from agents.callbacks import WINDOW, Recorder
from agents.devices import device_memory_mb
from agents.scores import evaluate_agent, evaluate_references, policy_figures
from agents.settings import Settings


class Clock:
    """Measures what passes from its making: wall-clock seconds, and seconds of processor time of all threads.

    Args:
        before: what earlier processes of the same training measured.
    """

    def __init__(self, before: tuple[float, float] = (0.0, 0.0)) -> None:
        self._started = time.monotonic() - before[0], time.process_time() - before[1]

    def read(self) -> tuple[float, float]:
        """Wall-clock and processor seconds so far."""
        return time.monotonic() - self._started[0], time.process_time() - self._started[1]


def final_scores(agent: Agent, trained_on: list[int]) -> dict[str, Any]:
    """What the summary says of the trained agent.

    `evaluation`: the agent and the reference policies on held-out problems; `training_problems`: the agent, greedy,
    on as many of the problems that it played last in training.
    """
    split, count = agent.settings.evaluation.split, agent.settings.evaluation.problems
    held_out = evaluate_agent(agent, split, range(count)) | evaluate_references(agent.task, split, range(count))
    seen = policy_figures(agent.greedy, agent.task, trained_on[-count:])
    return {"evaluation": held_out, "training_problems": seen}


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
