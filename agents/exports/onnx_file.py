"""Make an ONNX model of an agent, and play it with onnxruntime.

Of N observations it gives logits [N, V], the unnormalised log-probabilities of all tokens, and the most probable token
[N]. A maskable agent also takes `action_masks`, [N, V], and gives -∞ to what may not be said. A recurrent agent takes
what it remembers, `hidden` and `cell`, [layers, N, units] each, and gives it back as `next_hidden` and `next_cell`;
where an episode begins, they are 0.
"""

import copy
import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from agents.evaluation.agent import Agent, BoolArray
from agents.exports.safetensors_file import description
from agents.policies.activations import Tanh
from agents.policies.actor_critic import TiedRecurrentPolicy
from agents.policies.tied_head import PlainTiedHead, TiedHead
from token_env.errors import SettingError
from token_env.rules.observations import Observations

NEEDED = ("onnx", "onnxscript", "onnxruntime")
PLAIN: dict[type[nn.Module], type[nn.Module]] = {Tanh: nn.Tanh, TiedHead: PlainTiedHead}  # what exporters can follow
BATCH = torch.export.Dim("batch")
ROWS = 3  # observations while it is exported; any number afterwards


def check_installed() -> None:
    """Make sure that ONNX models can be made here.

    Raises:
        SettingError: a package is missing.
    """
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise SettingError(f"ONNX needs {', '.join(missing)}; type pip install -c constraints.txt '.[onnx]'.")


def onnx_bytes(agent: Agent) -> bytes:
    """The agent as an ONNX model, whose metadata tell its task and words.

    Raises:
        SettingError: a package is missing.
    """
    check_installed()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # the exporter names every package that it does without
    module = Speaker(agent).eval()
    examples = module.examples()
    first, *others = ({1 if name in module.memory else 0: BATCH} for name in examples)
    outputs = ["logits", "action", *(f"next_{name}" for name in module.memory)]
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter about itself
        program: Any = torch.onnx.export(
            module,
            tuple(examples.values()),
            input_names=list(examples),
            output_names=outputs,
            dynamic_shapes=(first, tuple(others)) if others else (first,),
            dynamo=True,
            verbose=False,
        )
    program.model.metadata_props.update(description(agent))
    content: bytes = program.model_proto.SerializeToString()
    return content


class Speaker(nn.Module):
    """A policy as a function of tensors alone."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.policy: Any = copy.deepcopy(agent.policy)
        for module in self.policy.modules():
            module.__class__ = PLAIN.get(type(module), type(module))
        self.masked = agent.uses_mask
        self.memory = ("hidden", "cell") if agent.recurrent else ()
        self.joined = isinstance(agent.policy, TiedRecurrentPolicy)  # the networks see the observation, too

    def examples(self) -> dict[str, Tensor]:
        """Inputs of the right shapes and types, by name."""
        space = self.policy.observation_space
        found = {"observation": torch.as_tensor(np.zeros((ROWS, *space.shape), space.dtype))}
        if self.masked:
            found["action_masks"] = torch.ones(ROWS, int(self.policy.action_space.n), dtype=torch.bool)
        for name in self.memory:
            layers, _, units = self.policy.lstm_hidden_state_shape
            found[name] = torch.zeros(layers, ROWS, units)
        return found

    def forward(self, observation: Tensor, *more: Tensor) -> tuple[Tensor, ...]:
        """Logits and tokens, and what is remembered."""
        extractor = self.policy.pi_features_extractor
        features = BasePolicy.extract_features(self.policy, observation, extractor)  # others take the value's along
        remembered: tuple[Tensor, ...] = ()
        if self.memory:
            output, remembered = self.policy.lstm_actor(features[None], more)
            features = torch.cat([features, output[0]], dim=1) if self.joined else output[0]
        logits = self.policy.action_net(self.policy.mlp_extractor.forward_actor(features))
        if self.masked:
            logits = torch.where(more[0], logits, -torch.inf)
        return logits, logits.argmax(dim=1), *remembered


class OnnxPlayer:
    """An ONNX model that plays episodes, as `token_env.evaluate` takes it.

    Args:
        content: of the file.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._inputs = {given.name: given for given in self._session.get_inputs()}
        self._memory: dict[str, NDArray[np.float32]] = {}

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        given: dict[str, Any] = {"observation": observations}
        if "action_masks" in self._inputs:
            given["action_masks"] = action_masks()
        for name in self._inputs.keys() - given.keys():
            layers, _, units = self._inputs[name].shape
            before = self._memory.get(name, np.zeros((layers, len(observations), units), np.float32))
            given[name] = np.where(episode_starts[None, :, None], np.float32(0), before)
        _, tokens, *remembered = self._session.run(None, given)
        self._memory = dict(zip(("hidden", "cell"), remembered, strict=False))
        return np.asarray(tokens, dtype=np.int64)
