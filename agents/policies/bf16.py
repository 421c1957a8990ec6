"""Multiply the linear layers of a policy in bfloat16."""

import torch.nn.functional as F  # noqa: N812  # as torch's own documentation calls it
from torch import Tensor, nn

from agents.machine.matmul import BF16


class Bf16Linear(nn.Linear):
    """A linear layer that multiplies in bf16; weights, bias and what it returns are float32.

    The bias is added in float32: a product is rounded in proportion to itself, not to the bias it starts from.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        """[N, out_features] for inputs [N, in_features]."""
        return F.linear(inputs.bfloat16(), self.weight.bfloat16()) + self.bias


def multiply_in(policy: nn.Module, precision: str) -> None:
    """Let the linear layers of a policy multiply in "float32" or "bf16"; their parameters stay what they are.

    One output, as of the value, stays in float32: it costs nothing and is no probability but the measure of all.
    Modules of other kinds, such as `TiedHead` and recurrent ones, stay too.
    """
    was, becomes = (nn.Linear, Bf16Linear) if precision == BF16 else (Bf16Linear, nn.Linear)
    for module in policy.modules():
        if type(module) is was and module.out_features > 1 and module.bias is not None:
            module.__class__ = becomes
