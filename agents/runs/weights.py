"""Read weights from a file, check that they are finite, and load them into a policy."""

from collections.abc import Mapping

import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from stable_baselines3.common.policies import BasePolicy

from token_env.errors import SettingError


def fill(policy: BasePolicy, weights: dict[str, torch.Tensor], source: str) -> None:
    """Load weights into a policy and put it into evaluation mode.

    Args:
        policy: Policy to change in place.
        weights: Tensors by name, with the names of `unique_weights`.
        source: Name of the weights' file, for error messages.

    Raises:
        SettingError: Names, shapes or types differ from the policy's, or a weight is not finite.
    """
    if _layout(weights) != _layout(unique_weights(policy)):
        raise SettingError(f"the weights {source!r} do not match the policy that the settings describe.")
    check_finite(weights, f"the weights {source!r}")
    policy.load_state_dict(
        weights, strict=False
    )  # not strict: shared parameters have one name in files and several in the policy
    policy.set_training_mode(False)


def check_finite(weights: dict[str, torch.Tensor], source: str) -> None:
    """Check that all weights are finite.

    Args:
        weights: Tensors of any shape, by name.
        source: Description of the weights, for error messages.

    Raises:
        SettingError: A weight is NaN or infinite.
    """
    if bad := first_nonfinite(weights):
        raise SettingError(f"{source} are not finite: {bad[0]} contains NaN or infinity.")


def first_nonfinite(weights: Mapping[str, torch.Tensor]) -> tuple[str, float] | None:
    """Return the name of the first tensor with a NaN or infinity, and that value; None if all are finite."""
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            return name, float(tensor.detach()[~tensor.isfinite()].flatten()[0])
    return None


def unique_weights(policy: BasePolicy) -> dict[str, torch.Tensor]:
    """Return the policy's parameters and persistent buffers by name, each once, in their own shapes.

    SB3 lists a features extractor that actor and critic share under three names. The language arrays of a tied head
    are not persistent: the settings and the language rebuild them.
    """
    persistent = policy.state_dict()
    tensors = (*policy.named_parameters(), *policy.named_buffers())
    return {name: tensor.detach() for name, tensor in tensors if name in persistent}


def _layout(weights: Mapping[str, torch.Tensor]) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Return shape and type of each tensor, by name."""
    return {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in weights.items()}


def read_weights(content: bytes, source: str) -> dict[str, torch.Tensor]:
    """Return the tensors in a safetensors file by name, in the shapes that the file declares.

    Args:
        content: Content of the file.
        source: Name of the file, for error messages.

    Raises:
        SettingError: The content is damaged or not a safetensors file.
    """
    try:
        weights: dict[str, torch.Tensor] = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise SettingError(f"cannot read the weights {source!r}: {error}.") from error
    return weights
