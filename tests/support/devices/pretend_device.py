"""A device that is not there: it computes on the CPU, and refuses what an accelerator without float64 refuses.

`python -m tests.support.devices.pretend_device` trains every algorithm with every head there and on the CPU, then makes
mistakes on purpose, and prints what came of it as JSON. It changes torch for the whole process, which is its own.
"""

import json
from collections import Counter
from functools import partial
from typing import ClassVar

import torch
from torch._decomp.decompositions import lstm_impl
from torch.utils._python_dispatch import return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.backend_registration import _setup_privateuseone_for_python_backend

from agents.algorithms.rollouts import EpisodeRollouts
from agents.algorithms.table import ALGORITHMS
from agents.policies import categorical
from agents.runs.weights import unique_weights
from tests.support.devices.mps_kernels import HEADS, short_model

NAME = "pretend"
COPIES = ("aten::copy_", "aten::_to_copy")  # the ways from a device to another
WAITS = ("aten::_local_scalar_dense", "aten::nonzero", *COPIES)  # the host waits for what they answer


class RefusedError(RuntimeError):
    """What the device cannot do."""


class Pretend(torch.Tensor):
    """A tensor on the device; `held` is the one of the CPU that it stands for."""

    operators: ClassVar = Counter()  # that the device was asked for
    waits = 0  # of the host for the device

    @staticmethod
    def __new__(cls, held):
        if held.dtype in (torch.float64, torch.complex128):
            raise RefusedError(f"{NAME} has no {held.dtype}")
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        made = torch.Tensor._make_wrapper_subclass(cls, held.size(), device=f"{NAME}:0", **layout)
        made.held = held
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), operator._schema.name
        leaves = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if name not in COPIES and any(leaf.dim() and not isinstance(leaf, Pretend) for leaf in leaves):
            raise RefusedError(f"{name} was given tensors of {NAME} and of the cpu")
        to_cpu = torch.device(kwargs.get("device") or NAME).type == "cpu" or not isinstance(args[0], (Pretend, list))
        Pretend.waits += name in WAITS and (to_cpu or name not in COPIES)
        if not to_cpu:
            Pretend.operators[f"{name}.{operator._overloadname}"] += 1
        kwargs |= {"device": torch.device("cpu")} if kwargs.get("device") else {}
        answer = operator(*tree_map(held, args), **tree_map(held, kwargs))
        if to_cpu:
            return args[0] if name == "aten::copy_" else answer
        return return_and_correct_aliasing(operator, args, kwargs, tree_map(on_device, answer))

    @property
    def data(self):
        return self.detach()

    @data.setter
    def data(self, other):  # what TRPO's line search does with parameters
        self.held = other.held

    def tolist(self):
        return self.cpu().tolist()


def held(leaf):
    """The tensor of the CPU that stands for one of the device; anything else as it is."""
    return leaf.held if isinstance(leaf, Pretend) else leaf


def on_device(leaf):
    """A tensor of the CPU as one of the device; anything else as it is."""
    return Pretend(leaf) if isinstance(leaf, torch.Tensor) else leaf


def made_there(operator):
    """What makes tensors on the device, of an operator that makes them on the CPU."""
    ours = ("device", "pin_memory", "layout")
    return lambda *args, **keywords: Pretend(
        operator(*args, **{name: value for name, value in keywords.items() if name not in ours})
    )


def copied(source, target, non_blocking=False):
    """The operator _copy_from, by which torch fills new tensors."""
    held(target).copy_(held(source))
    return target


def install():
    """Let `torch.device("pretend")` be this device, for as long as what is returned is kept."""
    _setup_privateuseone_for_python_backend(NAME)
    torch.__future__.set_swap_module_params_on_conversion(True)  # else optimizers keep parameters of the CPU
    categorical.WITHOUT_FLOAT64 = (NAME, "cpu")
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty.memory_format", made_there(torch.ops.aten.empty.memory_format), "PrivateUse1")
    library.impl("empty_strided", made_there(torch.ops.aten.empty_strided.default), "PrivateUse1")
    library.impl("_copy_from", copied, "PrivateUse1")
    library.impl("lstm.input", lstm_impl, "AutogradPrivateUse1")  # as MPS, it has an LSTM of its own
    return library


def compared(algorithm, head):
    """Two rollouts and updates there and on the CPU: how far the weights are apart, and what the device did."""
    Pretend.operators.clear()
    Pretend.waits = 0
    model = short_model(algorithm, head, NAME)
    playing = waits_while_playing(model)
    start = {name: weight.cpu().clone() for name, weight in unique_weights(model.policy).items()}
    there = {name: weight.cpu() for name, weight in unique_weights(model.learn(64).policy).items()}
    operators, waits = dict(Pretend.operators), Pretend.waits
    here = unique_weights(short_model(algorithm, head, "cpu").learn(64).policy)
    return {
        "gap": max(float((here[name] - there[name]).abs().max()) for name in here),
        "moved": max(float((there[name] - start[name]).abs().max()) for name in here),
        "operators": operators,
        "waits": waits,
        "playing": playing,
    }


def waits_while_playing(model):
    """For each episode that is played on the device, how often the host waited for it; filled by the training."""
    waits = []

    def counted(play, *args):
        before = Pretend.waits
        episodes = play(*args)
        waits.append(Pretend.waits - before)
        return episodes

    if isinstance(model, EpisodeRollouts):
        model._play = partial(counted, model._play)
    return waits


def float64_samples(model):
    categorical.WITHOUT_FLOAT64 = ()


def float64_rules(model):
    model._to_rules = lambda array: torch.as_tensor(array).to(NAME)


def constants_left_behind(model):
    head = model.policy.mlp_extractor.head
    head.output = head.output.cpu()


def answers_not_fetched(model):
    forward = model.policy.forward
    model.policy.forward = lambda *args, **keywords: [_unfetched(part) for part in forward(*args, **keywords)]


def _unfetched(part):
    return torch.from_numpy(part.numpy())


def parameters_left_behind(model):
    model.policy.value_net.to("cpu")


MISTAKES = (float64_samples, float64_rules, constants_left_behind, answers_not_fetched, parameters_left_behind)


def refusal(mistake):
    """What the device says of a training in which this mistake is made; empty if nothing."""
    model = short_model("ppo", "planning", NAME)
    try:
        mistake(model)
        model.learn(64)
    except (RuntimeError, TypeError) as error:
        return f"{error}"
    finally:
        categorical.WITHOUT_FLOAT64 = (NAME, "cpu")
    return ""


def waiting():
    """Waits for the device during an episode of 8 steps, of a policy that asks it for a number at every step."""
    model = short_model("ppo", "planning", NAME)
    forward, waits = model.policy.forward, waits_while_playing(model)

    def asking(*args):
        actions, *others = forward(*args)
        actions[0].item()
        return actions, *others

    model.policy.forward = asking
    model.learn(32)
    return waits


if __name__ == "__main__":
    kept = install()
    with torch.backends.mkldnn.flags(enabled=False):  # whose LSTM rounds otherwise
        found = {f"{algorithm}/{head}": compared(algorithm, head) for algorithm in ALGORITHMS for head in HEADS}
    refused = {mistake.__name__: refusal(mistake) for mistake in MISTAKES}
    print(json.dumps({"trained": found, "refused": refused, "waiting": waiting()}))
