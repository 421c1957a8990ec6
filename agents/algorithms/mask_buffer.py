"""Store the action masks of a rollout as bits: 32 times smaller than sb3-contrib's float32 masks."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer, MaskableRolloutBufferSamples

from token_env.errors import SettingError


class PackedMaskBuffer(MaskableRolloutBuffer):
    """sb3-contrib's maskable rollout buffer, with masks packed eight to a byte and unpacked for each minibatch.

    Raises:
        SettingError: The action space is not `Discrete`, or the observation space is a `Dict`.
    """

    action_space: spaces.Discrete

    def reset(self) -> None:
        """Empty the buffer; steps added without masks allow every action."""
        if isinstance(self.observation_space, spaces.Dict) or not isinstance(self.action_space, spaces.Discrete):
            raise SettingError(
                "PackedMaskBuffer takes Discrete actions and observations that are not a Dict; "
                "leave rollout_buffer_class out."
            )
        self.mask_dims = -(-int(self.action_space.n) // 8)  # bytes of a row's mask
        self.action_masks = np.full((self.buffer_size, self.n_envs, self.mask_dims), 255, dtype=np.uint8)
        super(MaskableRolloutBuffer, self).reset()  # sb3-contrib's own reset would allocate the unpacked array

    def add(self, *args: Any, action_masks: NDArray[Any] | None = None, **keywords: Any) -> None:
        """Add one step of each environment, with its action masks, bool [N, V]."""
        if action_masks is not None:
            action_masks = np.packbits(action_masks.reshape(self.n_envs, -1).astype(np.bool_), axis=1)
        super().add(*args, action_masks=action_masks, **keywords)

    def _get_samples(  # type: ignore[override]  # same signature as sb3-contrib's
        self, batch_inds: NDArray[np.int64], env: Any = None
    ) -> MaskableRolloutBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        masks = np.unpackbits(self.action_masks[batch_inds], axis=1, count=int(self.action_space.n))
        return samples._replace(action_masks=self.to_torch(masks.view(np.bool_)))
