"""Write an agent as a `.zip` of Stable-Baselines3, and read the weights of one without running what it brings.

Such a file holds pickles: loading it with Stable-Baselines3 runs whatever its maker put inside. Here only the member
with the policy's weights is read, by torch's restricted unpickler, after names and sizes were checked.
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
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy

from agents.algorithms.models import build_learner
from agents.evaluation.agent import Agent, BoolArray
from agents.runs.json_files import read_file
from agents.runs.weights import check_finite, fill, own_weights
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
MOST_RECORDS = 1_000  # in the archive that torch makes of the weights
BESIDE_BYTES = 1_000_000  # that such an archive may hold beside the numbers


def sb3_model(agent: Agent) -> OnPolicyAlgorithm:
    """The agent as a model of Stable-Baselines3 that can be trained further, its optimizer new.

    Policies with stock and fast heads have the same parameters, and become SB3's own.
    """
    settings = agent.settings
    if settings.policy.head == "fast":
        settings = settings.model_copy(update={"policy": settings.policy.model_copy(update={"head": "stock"})})
    model = build_learner(settings, "cpu", agent.language).model
    fill(model.policy, own_weights(agent.policy), "of the agent")
    if agent.uses_mask:
        model.rollout_buffer_class = MaskableRolloutBuffer  # ours would have to be installed where it is loaded
    model.seed = None  # else loading it would seed every generator of the process
    return model


def needs_tokentask(agent: Agent) -> bool:
    """Whether the file can be loaded only where this project is installed."""
    return agent.settings.policy.head == "tied" or agent.settings.env.observation == "tokens"


def zip_bytes(agent: Agent) -> bytes:
    """The agent as the content of such a file."""
    stream = io.BytesIO()
    sb3_model(agent).save(stream)
    return stream.getvalue()


class ZipPlayer:
    """Such a file of ours that plays episodes, as `token_env.evaluate` takes it. Loading it runs what it brings."""

    def __init__(self, agent: Agent, content: bytes) -> None:
        self._agent = agent
        self._model: Any = type(sb3_model(agent)).load(io.BytesIO(content), device="cpu")
        self._state: Any = None

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        more: dict[str, Any] = {"state": self._state, "episode_start": episode_starts}
        more |= {"action_masks": action_masks()} if self._agent.uses_mask else {}
        tokens, self._state = self._model.predict(observations, deterministic=True, **more)
        return np.asarray(tokens, dtype=np.int64)


def fill_from_zip(policy: BasePolicy, path: Path) -> None:
    """Give a policy the weights in such a file.

    Raises:
        SettingError: no such file, one with other members or larger than the policy, or weights of another policy or
            that are not finite.
    """
    expected = policy.state_dict()
    most = sum(tensor.nbytes for tensor in expected.values()) + BESIDE_BYTES
    try:
        weights = torch.load(io.BytesIO(_member(read_file(path), most)), map_location="cpu", weights_only=True)
    except SettingError:
        raise
    except Exception as error:  # of whatever kind: zip, unpickler, storage
        raise SettingError(f"cannot read the weights in {str(path)!r}: {str(error).splitlines()[0]}") from error
    if not isinstance(weights, dict) or _kinds(weights) != _kinds(expected):
        raise SettingError(f"the weights in {str(path)!r} do not fit the policy of the run that --like names.")
    check_finite(weights, f"the weights in {str(path)!r}")
    policy.load_state_dict(weights)


def _member(content: bytes, most: int) -> bytes:
    """The archive of the policy's weights, of which nothing was unpickled; at most so many bytes inflated."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive, lambda name: name in MEMBERS, len(MEMBERS))
        inner = archive.getinfo(POLICY)
        if inner.file_size > most:
            raise SettingError(f"its {POLICY} is larger than the policy of the run that --like names.")
        policy = archive.read(inner)
    with zipfile.ZipFile(io.BytesIO(policy)) as archive:
        _check_members(archive, lambda name: ".." not in name and not name.startswith("/"), MOST_RECORDS)
        if sum(info.file_size for info in archive.infolist()) > most:
            raise SettingError(f"its {POLICY} inflates to more than the policy of the run that --like names.")
    return policy


def _check_members(archive: zipfile.ZipFile, allowed: Callable[[str], bool], most: int) -> None:
    names = [info.filename for info in archive.infolist()]
    foreign = [name for name in names if not allowed(name)]
    if foreign or len(set(names)) != len(names) or len(names) > most:
        which = f"holds {foreign[0]!r}" if foreign else "holds a name twice, or too many members"
        raise SettingError(f"it {which}, and is no file of Stable-Baselines3.")


def _kinds(weights: dict[str, Any]) -> dict[str, Any]:
    return {name: (getattr(part, "shape", None), getattr(part, "dtype", None)) for name, part in weights.items()}
