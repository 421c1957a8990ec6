"""Measure the speed and the error of matrix products on each device."""

import time
from typing import NamedTuple

import torch

from agents.machine.devices import available_devices
from agents.machine.matmul import BF16, FLOAT32, Products, choose_products

ROWS, INNER, COLUMNS = 1024, 512, 5000  # largest product of the preset stable, with a minibatch of 1,024
REPEATS = 5


class Multiplication(NamedTuple):
    """Speed and error of one library and precision on a device."""

    device: str
    library: str  # "default" or "onednn"
    precision: str  # "float32" or "bf16"
    used: bool  # whether training on this device uses it by default
    gflops: float | None  # 10⁹ floating-point operations per wall-clock second; None if not usable
    error: float | None  # largest absolute error / largest absolute element
    why_not: str = ""  # reason why it is not usable


def measure_multiplications() -> list[Multiplication]:
    """Measure float32 and bf16 products on every device; on the CPU, float32 products with both libraries."""
    results = []
    for device in available_devices():
        rule = choose_products("auto", FLOAT32, device)
        for matmul in ("default", "onednn") if device == "cpu" else ("default",):
            products = choose_products(matmul, FLOAT32, device)
            results.append(_measure(device, matmul, products, used=matmul == rule.path))
        results.append(_measure(device, rule.path, choose_products("auto", BF16, device), used=False, precision=BF16))
    return results


def _measure(device: str, library: str, products: Products, used: bool, precision: str = FLOAT32) -> Multiplication:
    if products.refused:
        return Multiplication(device, library, precision, used, None, None, products.refused)
    dtype = torch.bfloat16 if precision == BF16 else torch.float32
    left, right = (torch.randn(n, INNER, device=device).to(dtype) for n in (ROWS, COLUMNS))
    seconds = []
    with products.in_use():
        for _ in range(REPEATS):
            start = time.perf_counter()
            product = left @ right.T
            product[0, 0].item()  # wait for the GPU
            seconds.append(time.perf_counter() - start)
    exact = left.cpu().double() @ right.cpu().double().T
    error = float((product.cpu().double() - exact).abs().max() / exact.abs().max())
    return Multiplication(device, library, precision, used, 2e-9 * ROWS * INNER * COLUMNS / min(seconds), error)
