"""Which operators torch has MPS kernels for, by its own list, and which ones a training asks for."""

from collections import defaultdict
from functools import cache
from pathlib import Path

import torch
import torchgen
import yaml
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from agents.algorithms.models import build_model
from agents.algorithms.vec_env import TokenVecEnv, task_keywords
from agents.settings.layers import make_settings, preset_layer
from token_env import Dynamics

LIST = Path(torchgen.__file__).parent / "packaged/ATen/native/native_functions.yaml"
ANY_DEVICE = "Composite"  # how kernels are called that are made of other operators
# What a CPU does by an operator of its own, and mps by others.
INSTEAD = {
    "aten::mkldnn_rnn_layer": ("aten::_lstm_mps", "aten::lstm_mps_backward"),
    "aten::mkldnn_rnn_layer_backward": ("aten::lstm_mps_backward",),
}
HEADS = ("stock", "planning")  # fast and tied heads ask for nothing that neither of them asks for
SHORT = {
    "ppo": {"n_envs": 4, "batch_size": 16, "n_epochs": 1},
    "a2c": {"n_envs": 4},
    "grpo": {"n_envs": 4, "group_size": 2, "batch_size": 16, "n_epochs": 1},
    "trpo": {"n_envs": 4, "batch_size": 16, "n_critic_updates": 2, "cg_max_steps": 2},
    "recurrent_ppo": {"lstm_hidden_size": 16},
}


def short_model(algorithm, head, device):
    """A model that two rollouts of 32 steps and their updates can be had of."""
    settings = make_settings(preset_layer("tiny"), SHORT, {"algorithm": algorithm, "policy": {"head": head}})
    env = TokenVecEnv(4, **task_keywords(settings.env))
    env.seed(0)
    return build_model(settings, env, Dynamics(settings.env), device)


@cache
def kernels():
    """By operator, with its overload, whether it can be computed on mps."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = yaml.load(LIST.read_text(encoding="utf-8"), loader)
    rows = {entry["func"].partition("(")[0]: entry for entry in entries}
    able = {name: _able(entry, rows) for name, entry in rows.items()}
    for name, entry in rows.items():  # made of the operator that they are listed with
        able |= dict.fromkeys(filter(None, map(str.strip, entry.get("autogen", "").split(","))), able[name])
    return {f"aten::{name}": value for name, value in able.items()}


def _able(entry, rows):
    if "structured_delegate" in entry and _able(rows[entry["structured_delegate"]], rows):
        return True
    if "dispatch" not in entry:  # made of other operators
        return "structured_delegate" not in entry
    keys = [key.strip() for keys in entry["dispatch"] for key in keys.split(",")]
    return "MPS" in keys or any(key.startswith(ANY_DEVICE) for key in keys)


@cache
def names_with_kernels():
    """Operators of which some overload can be computed on mps."""
    return {name.partition(".")[0] for name, able in kernels().items() if able}


def lacking(operators):
    """Those of these operators that mps cannot compute; `aten::add.Tensor`, or `aten::add` for any overload."""
    return {name for name in operators if not all(map(_known, INSTEAD.get(name.partition(".")[0], (name,))))}


def _known(name):
    name = name.removesuffix(".").removesuffix(".default")
    return kernels().get(name, name in names_with_kernels()) if "." in name else name in names_with_kernels()


class Recorder(TorchDispatchMode):
    """Notes every operator and the types of the tensors that it takes and gives."""

    def __init__(self):
        super().__init__()
        self.types = defaultdict(set)

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        answer = operator(*args, **(kwargs or {}))
        if not operator._schema.name.startswith("profiler::"):  # names what optimizers do
            leaves = tree_leaves((args, kwargs, answer))
            name = f"{operator._schema.name}.{operator._overloadname}"
            self.types[name] |= {leaf.dtype for leaf in leaves if isinstance(leaf, torch.Tensor)}
        return answer


def recorded(action):
    """Operators with types that an action dispatches, and the names of those that their kernels call."""
    recorder = Recorder()
    with recorder:
        action()
    with torch.autograd.profiler.profile() as profile:
        action()
    inside = {event.name for event in profile.function_events if event.name.startswith("aten::")}
    return dict(recorder.types), inside
