"""Compute exp, log Σ exp and tanh on a CPU from torch's own exp2 and sigmoid, which are faster on AMD processors.

`torch.exp` and `torch.tanh` call MKL's vector functions; there exp2 is 4 times and sigmoid 10 times as fast as these.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling

LOG2_E = 1.0 / math.log(2.0)


def exp(x: Tensor, out: Tensor | None = None) -> Tensor:
    """Return e^x, a tensor of x's shape, in `out` if given; relative error in float32: 1e-7 × |x|."""
    return torch.mul(x, LOG2_E, out=out).exp2_()


def logsumexp(x: Tensor) -> Tensor:
    """Return log Σ e^x over the last axis; twice differentiable."""
    if is_compiling():
        return x.logsumexp(dim=-1)
    result: Tensor = _LogSumExp.apply(x)  # type: ignore[no-untyped-call]
    return result


class _LogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        largest = x.amax(dim=-1, keepdim=True)
        weights = (x - largest).mul_(LOG2_E).exp2_()
        total = weights.sum(dim=-1, keepdim=True)
        ctx.save_for_backward(x, weights, total)
        return largest.add_(total.log()).squeeze(-1)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        x, weights, total = ctx.saved_tensors
        gradient = gradients[0][..., None]
        if torch.is_grad_enabled():  # it is to be differentiated again
            return gradient * x.softmax(dim=-1)
        return weights * (gradient / total)


class Tanh(nn.Tanh):
    """Tanh layer, computed as 2 σ(2x) - 1 on a CPU; error in float32: 2e-7; twice differentiable."""

    def forward(self, x: Tensor) -> Tensor:
        """Return tanh x, a tensor of x's shape."""
        y: Tensor = _Tanh.apply(x) if x.device.type == "cpu" and not is_compiling() else super().forward(x)  # type: ignore[no-untyped-call]
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
