"""Measure how fast PPO trains on each device, in each precision and on each number of threads."""

import torch

from agents.algorithms.models import build_learner
from agents.machine.devices import available_devices
from agents.machine.matmul import BF16, FLOAT32, choose_products
from agents.machine.speeds import TrainingSpeed, Way
from agents.machine.threads import thread_count, threads_in_use
from agents.machine.usage import Clock, peak_memory_mb
from agents.policies.bf16 import set_linear_precision
from agents.settings.layers import make_settings, preset_layer

REPEATS = 2  # interleaved measurements of each way to train; the fastest counts
SECONDS = 0.5  # shortest time of a measurement by the clock


def ways_to_train() -> list[Way]:
    """Return the ways that this machine supports, the preferred device first and its default first of all."""
    ways = []
    for device in available_devices():
        ways.append(Way(device, FLOAT32, thread_count()))
        if device == "cpu" and torch.get_num_threads() != thread_count():
            ways.append(Way(device, FLOAT32, torch.get_num_threads()))
        if not choose_products("auto", BF16, device).refused:
            ways.append(Way(device, BF16, thread_count()))
    return ways


def measure_training(size: str) -> list[TrainingSpeed]:
    """Measure whole rollouts and their updates in every way to train, interleaved.

    Raises:
        SettingError: The size is unknown.
    """
    trainings = [_Training(size, way) for way in ways_to_train()]
    repeats = [[training.measure() for training in trainings] for _ in range(REPEATS)]
    return [max(speeds, key=lambda speed: speed.steps_per_second) for speeds in zip(*repeats, strict=True)]


class _Training:
    """A training that has made its first rollout and update."""

    def __init__(self, size: str, way: Way) -> None:
        self._size, self._way = size, way
        self._settings = make_settings(preset_layer(size))
        self._products = choose_products(self._settings.matmul, way.precision, way.device)
        self._model = build_learner(self._settings, way.device).model
        set_linear_precision(self._model.policy, self._products.precision)
        with self._products.in_use(), threads_in_use(way.threads):
            self._learn()

    def _learn(self) -> int:
        """Make a rollout and its update; return the number of steps."""
        steps = self._settings.ppo.n_envs * self._settings.ppo.n_steps
        self._model.learn(steps, reset_num_timesteps=False)
        next(self._model.policy.parameters()).sum().item()  # wait for the device
        return steps

    def measure(self) -> TrainingSpeed:
        clock, steps, seconds = Clock(), 0, 0.0
        with self._products.in_use(), threads_in_use(self._way.threads):
            while seconds < SECONDS:
                steps += self._learn()
                seconds, cpu_seconds = clock.read()
        run = self._settings.episodes * self._settings.env.max_steps * seconds / steps
        figures = round(steps / seconds, 1), round(run, 1), round(cpu_seconds / seconds, 3), peak_memory_mb()
        return TrainingSpeed(self._size, *self._way, *figures)
