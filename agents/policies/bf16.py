"""Switch the linear layers of a policy between float32 and bfloat16 products."""

import torch.nn.functional as F  # noqa: N812  # as torch's own documentation calls it
from torch import Tensor, nn

from agents.machine.matmul import BF16


class Bf16Linear(nn.Linear):
    """Linear layer that multiplies in bf16; weights, bias and outputs are float32.

    The bias is added in float32, so that rounding errors scale with the product and not with the bias.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs [N, out_features] of inputs [N, in_features]."""
        return self.products(inputs, self.weight, self.bias)

    @staticmethod
    def products(inputs: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        """Return what `torch.nn.functional.linear` returns, multiplied in bf16."""
        return F.linear(inputs.bfloat16(), weight.bfloat16()) + bias


def set_linear_precision(policy: nn.Module, precision: str) -> None:
    """Switch the linear layers of a policy to products in "float32" or "bf16"; parameters stay unchanged.

    Single-output layers (the value head) stay float32: they cost little, and errors there shift every advantage.
    Other modules, such as `TiedHead` and LSTMs, stay float32 as well.
    """
    old, new = (nn.Linear, Bf16Linear) if precision == BF16 else (Bf16Linear, nn.Linear)
    for module in policy.modules():
        if type(module) is old and module.out_features > 1 and module.bias is not None:
            module.__class__ = new
