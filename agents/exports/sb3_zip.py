"""Export an agent as a Stable-Baselines3 `.zip`, and read the weights of such a file without running its code.

Such a file contains pickles: loading it with Stable-Baselines3 runs any code inside. This module reads only the member
with the policy's weights, with torch's restricted unpickler, after it has checked names and sizes.
"""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from agents.algorithms.models import build_learner
from agents.algorithms.tensor_buffer import TensorRolloutBuffer
from agents.evaluation.agent import Agent, BoolArray
from agents.runs.json_files import read_file
from agents.runs.weights import check_finite, fill, unique_weights
from agents.settings.schema import TIED_HEADS
from token_env.errors import SettingError
from token_env.rules.observations import Observations

POLICY = "policy.pth"
MEMBERS = (
    POLICY,
    "data",
    "policy.optimizer.pth",
    "pytorch_variables.pth",
    "_stable_baselines3_version",
    "system_info.txt",
)
MAX_RECORDS = 1_000  # largest number of members in torch's archive of the weights
MAX_OVERHEAD_BYTES = 1_000_000  # largest size of that archive beyond the weights themselves


def sb3_model(agent: Agent) -> OnPolicyAlgorithm:
    """Return the agent as a trainable Stable-Baselines3 model with a new optimizer.

    Policies with the fast head become SB3's own policies, and GRPO becomes PPO, all with the same parameters.
    """
    settings = agent.settings
    if settings.algorithm == "grpo":
        settings = settings.model_copy(update={"algorithm": "ppo"})
    if settings.policy.head == "fast":
        settings = settings.model_copy(update={"policy": settings.policy.model_copy(update={"head": "stock"})})
    model = build_learner(settings, "cpu", agent.language).model
    fill(model.policy, unique_weights(agent.policy), "of the agent")
    if isinstance(model.rollout_buffer, TensorRolloutBuffer):  # which would need tokentask to load
        model.rollout_buffer_class = MaskableRolloutBuffer if agent.uses_mask else RolloutBuffer
    model.seed = None  # otherwise loading the file seeds all generators of the process
    return model


def needs_tokentask(agent: Agent) -> bool:
    """Return whether Stable-Baselines3 can load the exported file only with tokentask installed."""
    return agent.settings.policy.head in TIED_HEADS or agent.settings.env.observation == "tokens"


def zip_bytes(agent: Agent) -> bytes:
    """Return the content of the agent's Stable-Baselines3 file."""
    stream = io.BytesIO()
    sb3_model(agent).save(stream)
    return stream.getvalue()


class ZipPlayer:
    """A Stable-Baselines3 file as a policy for `token_env.evaluate`; loading it runs the code inside."""

    def __init__(self, agent: Agent, content: bytes) -> None:
        self._agent = agent
        self._model: Any = type(sb3_model(agent)).load(io.BytesIO(content), device="cpu")
        self._state: Any = None

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Return the tokens of this step, [N]; see `token_env.EpisodePolicy`."""
        keywords: dict[str, Any] = {"state": self._state, "episode_start": episode_starts}
        keywords |= {"action_masks": action_masks()} if self._agent.uses_mask else {}
        tokens, self._state = self._model.predict(observations, deterministic=True, **keywords)
        return np.asarray(tokens, dtype=np.int64)


def load_zip_weights(policy: BasePolicy, path: Path) -> None:
    """Load the weights of a Stable-Baselines3 file into a policy.

    Raises:
        SettingError: The file is missing, has other members or is larger than the policy, or its weights do not fit the
            policy or are not finite.
    """
    expected = policy.state_dict()
    max_bytes = sum(tensor.nbytes for tensor in expected.values()) + MAX_OVERHEAD_BYTES
    try:
        weights = torch.load(
            io.BytesIO(_read_policy_member(read_file(path), max_bytes)), map_location="cpu", weights_only=True
        )
    except SettingError:
        raise
    except Exception as error:  # zip, unpickler and storage raise many types
        raise SettingError(f"cannot read the weights in {str(path)!r}: {str(error).splitlines()[0]}") from error
    if not isinstance(weights, dict) or _layout(weights) != _layout(expected):
        raise SettingError(f"the weights in {str(path)!r} do not fit the policy of the run that --like names.")
    check_finite(weights, f"the weights in {str(path)!r}")
    policy.load_state_dict(weights)


def _read_policy_member(content: bytes, max_bytes: int) -> bytes:
    """Read the archive of the policy's weights without unpickling it; it inflates to at most `max_bytes` bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive, lambda name: name in MEMBERS, len(MEMBERS))
        member = archive.getinfo(POLICY)
        if member.file_size > max_bytes:
            raise SettingError(f"its {POLICY} is larger than the policy of the run that --like names.")
        policy = archive.read(member)
    with zipfile.ZipFile(io.BytesIO(policy)) as archive:
        _check_members(archive, lambda name: ".." not in name and not name.startswith("/"), MAX_RECORDS)
        if sum(info.file_size for info in archive.infolist()) > max_bytes:
            raise SettingError(f"its {POLICY} inflates to more than the policy of the run that --like names.")
    return policy


def _check_members(archive: zipfile.ZipFile, is_allowed: Callable[[str], bool], max_members: int) -> None:
    names = [info.filename for info in archive.infolist()]
    foreign = [name for name in names if not is_allowed(name)]
    if foreign or len(set(names)) != len(names) or len(names) > max_members:
        reason = f"holds {foreign[0]!r}" if foreign else "holds a name twice, or too many members"
        raise SettingError(f"it {reason}, and is no file of Stable-Baselines3.")


def _layout(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: (getattr(part, "shape", None), getattr(part, "dtype", None)) for name, part in weights.items()}
