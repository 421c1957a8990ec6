"""Compute exp and tanh on a CPU without MKL's vector functions, which torch calls for these two by themselves.

On AMD processors they are slow: torch's own exp2 and sigmoid, from which the same follows, are 4 and 10 times as fast.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

LOG2_E = 1.0 / math.log(2.0)


def exp(x: Tensor) -> Tensor:
    """e^x, in float32 to a relative error of 1e-7 × |x|."""
    return (x * LOG2_E).exp2_()


class Tanh(nn.Tanh):
    """tanh x = 2 σ(2x) - 1, in float32 to 2e-7; it has no parameters, and can be differentiated twice."""

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape."""
        y: Tensor = _Tanh.apply(x) if x.device.type == "cpu" else super().forward(x)  # type: ignore[no-untyped-call]
        return y


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = (2.0 * x).sigmoid_().mul_(2.0).sub_(1.0)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        return torch.ops.aten.tanh_backward(gradients[0], y)
