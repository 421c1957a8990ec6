"""Examine a machine: versions, devices, how fast it multiplies and trains, and what follows from that."""

import os
import platform
import time
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch

from agents.algorithms import build_model
from agents.build import keywords_of
from agents.devices import available_devices, device_states, resolve_device
from agents.precision import BF16, FLOAT32, LIBRARIES, Products, choose_products, multiply_in
from agents.provenance import peak_memory_mb, processor, versions
from agents.settings import make_settings, preset_layer
from agents.vec_env import TokenVecEnv
from token_env.dynamics import Dynamics

BESIDE = ("sb3-contrib", "pydantic", "pandas", "sbx-rl")  # versions told beside those that a run records
ROWS, INNER, COLUMNS = 1024, 512, 5000  # of the product that is measured: stable's largest, with a minibatch of 1,024
TRIALS = 5
CLEARLY = 1.15  # times as fast, from which on advice is given
ENOUGH_MEMORY_MB = 3_000  # for every size and algorithm: trpo on stable takes 2.7 GB
UNDISTURBED = 0.8  # seconds of processor time in a second of the clock, below which something else runs


class Multiplication(NamedTuple):
    """A way to multiply matrices on a device."""

    device: str
    library: str  # "default" or "onednn"
    precision: str  # "float32" or "bf16"
    used: bool  # by training there, if nothing else is asked for
    gflops: float | None  # 10⁹ floating-point operations a second of the clock; None where it cannot be used
    error: float | None  # the largest, relative to the largest element
    why_not: str = ""


def examine(sizes: Iterable[str]) -> dict[str, Any]:
    """Everything about this machine, as JSON holds it.

    Args:
        sizes: of which a rollout is trained.

    Raises:
        SettingError: an unknown size.
    """
    layers = {size: preset_layer(size) for size in sizes}
    paths = multiplications()
    training = {size: trained(layer) for size, layer in layers.items()}
    found: dict[str, Any] = {
        "versions": versions() | {name: _version_if_any(name) for name in BESIDE},
        "machine": {
            "processor": processor(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "memory_mb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e6),
        },
        "devices": device_states(),
        "chosen": resolve_device("auto"),
        "products": choose_products("auto", FLOAT32, resolve_device("auto"))._asdict(),
        "multiplications": [path._asdict() for path in paths],
        "training": training,
    }
    return found | {"advice": advice(found)}


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


def trained(preset: dict[str, Any]) -> dict[str, Any]:
    """What a rollout and its update take with PPO, on the preferred device."""
    settings = make_settings(preset)
    device = resolve_device("auto")
    products = choose_products(settings.matmul, settings.precision, device)
    env = TokenVecEnv(settings.ppo.n_envs, **keywords_of(settings.env))
    model = build_model(settings, env, Dynamics(settings.env), device)
    multiply_in(model.policy, products.precision)
    steps = settings.ppo.n_envs * settings.ppo.n_steps
    with products.in_use():
        started, cpu_started = time.perf_counter(), time.process_time()
        model.learn(steps)
        taken, cpu_taken = time.perf_counter() - started, time.process_time() - cpu_started
    return {
        "steps_per_second": round(steps / taken, 1),
        "run_seconds": round(settings.episodes * settings.env.max_steps * taken / steps, 1),
        "busy": round(cpu_taken / taken, 3),  # processor time in a second of the clock
        "peak_memory_mb": peak_memory_mb(),
    }


def advice(found: dict[str, Any]) -> list[str]:
    """What follows from what was found, a sentence or two each."""
    chosen, machine = found["chosen"], found["machine"]
    others = ", ".join(f"{name}: {state}" for name, state in found["devices"].items() if name != chosen)
    told = [f"Training runs on {chosen} ({others})."]
    paths = [Multiplication(**path) for path in found["multiplications"] if path["device"] == chosen and path["gflops"]]
    told += _advice_on_products(paths)
    if chosen == "cpu" and machine["threads"] > 1:
        told.append(
            f"Torch uses {machine['threads']} threads. For several runs side by side, or figures that repeat on "
            "machines with other numbers of cores, type OMP_NUM_THREADS=1 before the command."
        )
    if chosen == "cpu" and any(took["busy"] < UNDISTURBED for took in found["training"].values()):
        told.append("Other work runs on this machine, and these speeds are lower than they could be: look again later.")
    if machine["memory_mb"] < ENOUGH_MEMORY_MB:
        told.append(f"{machine['memory_mb']:,} MB of memory may be too little for stable; type --size fast.")
    return told


def _advice_on_products(paths: list[Multiplication]) -> list[str]:
    """Whether another way to multiply is faster than the one that is used."""
    (used,) = (path for path in paths if path.used)
    assert used.gflops is not None
    told = []
    for path in paths:
        times = (path.gflops or 0.0) / used.gflops
        if path.precision == BF16 and times > CLEARLY:
            told.append(f"Products in bf16 are {times:.1f} times as fast: type --precision bf16.")
        elif path.precision == BF16:
            told.append(f"Products in bf16 are no gain here ({times:.1f} times as fast): leave --precision out.")
        elif path != used and times > CLEARLY:
            told.append(
                f"Float32 products are {times:.1f} times as fast through {LIBRARIES[path.library]} as through "
                f"{LIBRARIES[used.library]}, which runs take: type --set matmul={path.library}."
            )
        elif path != used:
            told.append(
                f"Float32 products run through {LIBRARIES[used.library]}, {1 / times:.1f} times as fast as "
                f"{LIBRARIES[path.library]}."
            )
    return told


def _version_if_any(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
