"""Keep the masks of a rollout as bits: 32 times smaller than the numbers that sb3-contrib keeps."""

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer, MaskableRolloutBufferSamples


class PackedMaskBuffer(MaskableRolloutBuffer):
    """sb3-contrib's buffer with eight masks a byte, unpacked for the minibatch that is asked for."""

    action_space: spaces.Discrete

    def reset(self) -> None:
        """Empty the buffer; everything may be said until a mask is added."""
        self.mask_dims = -(-int(self.action_space.n) // 8)  # bytes a row
        self.action_masks = np.full((self.buffer_size, self.n_envs, self.mask_dims), 255, dtype=np.uint8)
        super(MaskableRolloutBuffer, self).reset()  # sb3-contrib's own would make the large array

    def add(self, *args: Any, action_masks: NDArray[Any] | None = None, **keywords: Any) -> None:
        """Add a step of every environment, with its masks [N, V]."""
        if action_masks is not None:
            action_masks = np.packbits(action_masks.reshape(self.n_envs, -1).astype(np.bool_), axis=1)
        super().add(*args, action_masks=action_masks, **keywords)

    def _get_samples(  # type: ignore[override]  # as sb3-contrib's, whose samples hold masks
        self, batch_inds: NDArray[np.int64], env: Any = None
    ) -> MaskableRolloutBufferSamples:
        samples = super()._get_samples(batch_inds, env)
        masks = np.unpackbits(self.action_masks[batch_inds], axis=1, count=int(self.action_space.n))
        return samples._replace(action_masks=self.to_torch(masks.view(np.bool_)))
