"""Measure how fast and how exactly each device multiplies matrices."""

import time
from typing import NamedTuple

import torch

from agents.machine.devices import available_devices
from agents.machine.matmul import BF16, FLOAT32, Products, choose_products

ROWS, INNER, COLUMNS = 1024, 512, 5000  # of the product that is measured: stable's largest, with a minibatch of 1,024
TRIALS = 5


class Multiplication(NamedTuple):
    """A way to multiply matrices on a device."""

    device: str
    library: str  # "default" or "onednn"
    precision: str  # "float32" or "bf16"
    used: bool  # by training there, if nothing else is asked for
    gflops: float | None  # 10⁹ floating-point operations a second of the clock; None where it cannot be used
    error: float | None  # the largest, relative to the largest element
    why_not: str = ""


def multiplications() -> list[Multiplication]:
    """Every way to multiply matrices here, measured: float32 and bf16 on every device, on the cpu by both libraries."""
    measured = []
    for device in available_devices():
        rule = choose_products("auto", FLOAT32, device)
        for matmul in ("default", "onednn") if device == "cpu" else ("default",):
            products = choose_products(matmul, FLOAT32, device)
            measured.append(_measured(device, matmul, products, used=matmul == rule.path))
        measured.append(_measured(device, rule.path, choose_products("auto", BF16, device), used=False, precision=BF16))
    return measured


def _measured(device: str, library: str, products: Products, used: bool, precision: str = FLOAT32) -> Multiplication:
    if products.refused:
        return Multiplication(device, library, precision, used, None, None, products.refused)
    kind = torch.bfloat16 if precision == BF16 else torch.float32
    left, right = (torch.randn(n, INNER, device=device).to(kind) for n in (ROWS, COLUMNS))
    seconds = []
    with products.in_use():
        for _ in range(TRIALS):
            started = time.perf_counter()
            product = left @ right.T
            product[0, 0].item()  # waits for a GPU
            seconds.append(time.perf_counter() - started)
    exact = left.cpu().double() @ right.cpu().double().T
    error = float((product.cpu().double() - exact).abs().max() / exact.abs().max())
    return Multiplication(device, library, precision, used, 2e-9 * ROWS * INNER * COLUMNS / min(seconds), error)
