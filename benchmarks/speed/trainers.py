"""Define the PPO implementations that are compared: stock Stable-Baselines3, its JAX version sbx, and ours.

All do the same work: the same rollouts, minibatches and epochs, and separate policy and value networks of the same
widths.
"""

import dataclasses
import os
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import torch
from stable_baselines3 import PPO
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from agents.algorithms.models import NON_SB3_SETTINGS, build_learner
from agents.algorithms.vec_env import TokenVecEnv, task_keywords
from agents.machine.matmul import BF16, FLOAT32, Products, choose_products
from agents.policies.bf16 import set_linear_precision
from agents.settings.layers import make_settings, preset_layer
from agents.settings.schema import Settings
from token_env.env import TokenEnv
from token_env.languages.language import Language
from token_env.rules.task import Task

SHARED = {"n_envs": 64, "n_epochs": 4, "learning_rate": 3e-4}  # of the shared comparison; minibatches: half a rollout
ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"  # flags of JAX


class Trainer(NamedTuple):
    """One implementation of PPO with its options."""

    name: str
    library: Literal["sb3", "sbx", "ours"]
    loop: bool = False  # steps environments one after another (DummyVecEnv) instead of in our batch
    head: Literal["fast", "tied", "planning"] = "fast"  # used by our implementation only
    precision: str = FLOAT32

    @property
    def products(self) -> Products:
        """Backend of matrix products: torch's default for stock SB3, the fastest for this CPU otherwise."""
        return choose_products("default" if self.library == "sb3" else "auto", self.precision, "cpu")

    def build(self, settings: Settings, language: Language | None = None) -> OnPolicyAlgorithm:
        """Build an untrained model with these PPO settings; the language is built from them, unless given."""
        if self.library != "ours":
            task = settings.env if language is None else dataclasses.replace(settings.env, language=language)
            env = (
                _loop(task, settings.ppo.n_envs)
                if self.loop
                else TokenVecEnv(settings.ppo.n_envs, **task_keywords(task))
            )
            return _stock(PPO if self.library == "sb3" else _sbx(), settings, env)
        own_settings = settings.model_copy(update={"policy": settings.policy.model_copy(update={"head": self.head})})
        model = build_learner(own_settings, "cpu", language).model
        set_linear_precision(model.policy, self.products.precision)
        return model


STOCK_LOOP = Trainer("SB3, DummyVecEnv", "sb3", loop=True)
STOCK_BATCH = Trainer("SB3, our VecEnv", "sb3")
FAST = Trainer("fast heads", "ours")
FAST_BF16 = Trainer("fast heads, bf16", "ours", precision=BF16)
TIED = Trainer("tied head", "ours", head="tied")
PLANNING = Trainer("planning head", "ours", head="planning")
TIED_BF16 = Trainer("tied head, bf16", "ours", head="tied", precision=BF16)
SBX = Trainer("sbx, our VecEnv", "sbx")


def trainers() -> list[Trainer]:
    """Return the trainers that run on this machine: sbx if it is installed, bf16 if the processor supports it."""
    candidates = [STOCK_LOOP, STOCK_BATCH, FAST, FAST_BF16, TIED, TIED_BF16, PLANNING, SBX]
    installed = [trainer for trainer in candidates if trainer.library != "sbx" or find_spec("sbx")]
    return [trainer for trainer in installed if not trainer.products.refused]


def shared_settings(size: str, **env: Any) -> Settings:
    """Return the settings of the shared comparison for a size, with changes of its task: one episode of each row."""
    steps = make_settings(preset_layer(size)).env.max_steps
    shape = {"n_steps": steps, "batch_size": 32 * steps}
    return make_settings(preset_layer(size), {"ppo": shape | SHARED, "env": env})


def preset_settings(size: str) -> Settings:
    """Return the settings of the shipped preset of a size."""
    return make_settings(preset_layer(size))


def _stock(learner: Callable[..., OnPolicyAlgorithm], settings: Settings, env: VecEnv) -> OnPolicyAlgorithm:
    """Build a model with the stock Stable-Baselines3 interface."""
    section = settings.ppo
    return learner(
        "MlpPolicy",
        env,
        learning_rate=section.learning_rate,
        policy_kwargs={"net_arch": list(settings.policy.hidden)},
        seed=settings.seed,
        device="cpu",
        **section.model_dump(exclude=NON_SB3_SETTINGS),
    )


def _loop(task: Task, n_envs: int) -> VecEnv:
    return DummyVecEnv([lambda: TokenEnv(**task_keywords(task))] * n_envs)


def _sbx() -> Any:
    if torch.get_num_threads() == 1:
        os.environ.setdefault("XLA_FLAGS", ONE_THREAD)  # JAX reads it at start
    return import_module("sbx").PPO
