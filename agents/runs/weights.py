"""Read the weights of a policy, check that they are finite, and fill a policy with them."""

from collections.abc import Mapping

import safetensors.numpy
import safetensors.torch
import torch
from safetensors import SafetensorError
from stable_baselines3.common.policies import BasePolicy

from token_env.errors import SettingError


def fill(policy: BasePolicy, weights: dict[str, torch.Tensor], source: str) -> None:
    """Give a policy the weights that come from this source.

    Raises:
        SettingError: names, shapes or types that are not the policy's, or numbers that are not finite.
    """
    expected = own_weights(policy)
    kinds, wanted = ({n: (tuple(t.shape), t.dtype) for n, t in part.items()} for part in (weights, expected))
    if kinds != wanted:
        raise SettingError(f"the weights {source!r} do not fit the policy that its settings describe.")
    check_finite(weights, f"the weights {source!r}")
    policy.load_state_dict(weights, strict=False)  # the other names of shared parameters are missing
    policy.set_training_mode(False)


def check_finite(weights: dict[str, torch.Tensor], which: str) -> None:
    """Refuse weights with which every further number would be none.

    Raises:
        SettingError: one is NaN or infinite.
    """
    if bad := first_nonfinite(weights):
        raise SettingError(f"{which} are not finite: {bad[0]} holds NaN or infinity.")


def first_nonfinite(weights: Mapping[str, torch.Tensor]) -> tuple[str, float] | None:
    """Return the name of the first tensor with a NaN or an infinity, and that number; None if all are finite."""
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            return name, float(tensor[~tensor.isfinite()].flatten()[0])
    return None


def own_weights(policy: BasePolicy) -> dict[str, torch.Tensor]:
    """What cannot be made from the settings, once: SB3 gives a features extractor that networks share three names."""
    kept = policy.state_dict()  # without the language's arrays, which a tied head holds as buffers that are not kept
    tensors = (*policy.named_parameters(), *policy.named_buffers())
    return {name: tensor.detach() for name, tensor in tensors if name in kept}


def read_weights(content: bytes, source: str) -> dict[str, torch.Tensor]:
    """The tensors in a safetensors file, by name.

    Raises:
        SettingError: it is none, or a damaged one.
    """
    try:
        weights: dict[str, torch.Tensor] = safetensors.torch.load(content)
    except (SafetensorError, KeyError, ValueError) as error:
        raise SettingError(f"cannot read the weights {source!r}: {error}.") from error
    return weights
