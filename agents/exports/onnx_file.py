"""Export an agent as an ONNX model, and play the model with onnxruntime.

For N observations the model returns `logits` [N, V], unnormalised log-probabilities in nats, and `action` [N], the most
probable tokens. With masks it also takes `action_masks` [N, V] and sets the logits of illegal tokens to -∞. A recurrent
model takes its memory as `hidden` and `cell`, [layers, N, units] each, and returns it as `next_hidden` and `next_cell`;
both are 0 at the start of an episode.
"""

import copy
import io
import logging
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from agents.evaluation.agent import Agent, BoolArray
from agents.exports.safetensors_file import export_metadata
from agents.policies.activations import Tanh
from agents.policies.actor_critic import TiedMixin
from agents.policies.tied_head import PlainTiedHead, TiedHead
from token_env.errors import SettingError
from token_env.rules.observations import Observations

REQUIRED_PACKAGES = ("onnx", "onnxscript", "onnxruntime")
# Our classes, each with a class of the same parameters that the exporter can trace.
EXPORTABLE_CLASSES: dict[type[nn.Module], type[nn.Module]] = {Tanh: nn.Tanh, TiedHead: PlainTiedHead}
BATCH = torch.export.Dim("batch")
ROWS = 3  # example observations during the export; the model takes any number


def check_installed() -> None:
    """Check that the packages for ONNX are installed.

    Raises:
        SettingError: A package is missing.
    """
    missing = [name for name in REQUIRED_PACKAGES if find_spec(name) is None]
    if missing:
        raise SettingError(f"ONNX needs {', '.join(missing)}; type pip install -c constraints.txt '.[onnx]'.")


def onnx_bytes(agent: Agent) -> bytes:
    """Return the agent as an ONNX model, with its settings and words as metadata.

    Raises:
        SettingError: A package is missing.
    """
    check_installed()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # the exporter warns of every optional package
    module = OnnxModule(agent).eval()
    examples = module.examples()
    first, *others = ({1 if name in module.memory else 0: BATCH} for name in examples)
    outputs = ["logits", "action", *(f"next_{name}" for name in module.memory)]
    with torch.no_grad(), warnings.catch_warnings(), redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")  # the exporter warns about its own code, and prints what it rewrites
        program: Any = torch.onnx.export(
            module,
            tuple(examples.values()),
            input_names=list(examples),
            output_names=outputs,
            dynamic_shapes=(first, tuple(others)) if others else (first,),
            dynamo=True,
            verbose=False,
        )
    program.model.metadata_props.update(export_metadata(agent))
    content: bytes = program.model_proto.SerializeToString()
    return content


class OnnxModule(nn.Module):
    """A policy as a module that takes and returns only tensors."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self.policy: Any = copy.deepcopy(agent.policy)
        for module in self.policy.modules():
            module.__class__ = EXPORTABLE_CLASSES.get(type(module), type(module))
        self.masked = agent.uses_mask
        self.memory = ("hidden", "cell") if agent.recurrent else ()
        self.joins_features = isinstance(agent.policy, TiedMixin)  # a tied policy also reads the observation

    def examples(self) -> dict[str, Tensor]:
        """Return example inputs of the right shapes and dtypes, by name."""
        space = self.policy.observation_space
        inputs = {"observation": torch.as_tensor(np.zeros((ROWS, *space.shape), space.dtype))}
        if self.masked:
            inputs["action_masks"] = torch.ones(ROWS, int(self.policy.action_space.n), dtype=torch.bool)
        for name in self.memory:
            layers, _, units = self.policy.lstm_hidden_state_shape
            inputs[name] = torch.zeros(layers, ROWS, units)
        return inputs

    def forward(self, observation: Tensor, *extra_inputs: Tensor) -> tuple[Tensor, ...]:
        """Return logits [N, V], tokens [N], and the next hidden and cell state, [layers, N, units] each, if any.

        Args:
            observation: [N, D] Observations.
            extra_inputs: Action masks [N, V], or hidden and cell state, [layers, N, units] each.
        """
        extractor = self.policy.pi_features_extractor
        # subclasses also extract the value's features
        features = BasePolicy.extract_features(self.policy, observation, extractor)
        memory: tuple[Tensor, ...] = ()
        if self.memory:
            output, memory = self.policy.lstm_actor(features[None], extra_inputs)
            features = torch.cat([features, output[0]], dim=1) if self.joins_features else output[0]
        logits = self.policy.action_net(self.policy.mlp_extractor.forward_actor(features))
        if self.masked:
            logits = torch.where(extra_inputs[0], logits, -torch.inf)
        return logits, logits.argmax(dim=1), *memory


class OnnxPlayer:
    """An ONNX model as a policy for `token_env.evaluate`.

    Args:
        content: Content of the ONNX file.
    """

    def __init__(self, content: bytes) -> None:
        import onnxruntime

        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self._inputs = {entry.name: entry for entry in self._session.get_inputs()}
        self._memory: dict[str, NDArray[np.float32]] = {}

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Return the tokens of this step, [N]; see `token_env.EpisodePolicy`."""
        inputs: dict[str, Any] = {"observation": observations}
        if "action_masks" in self._inputs:
            inputs["action_masks"] = action_masks()
        for name in self._inputs.keys() - inputs.keys():
            layers, _, units = self._inputs[name].shape
            before = self._memory.get(name, np.zeros((layers, len(observations), units), np.float32))
            inputs[name] = np.where(episode_starts[None, :, None], np.float32(0), before)
        _, tokens, *memory = self._session.run(None, inputs)
        self._memory = dict(zip(("hidden", "cell"), memory, strict=False))
        return np.asarray(tokens, dtype=np.int64)
