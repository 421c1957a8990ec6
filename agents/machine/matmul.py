"""Choose the library and the precision of matrix products.

The choice depends on the processor and the settings only, never on a timing, so that runs are reproducible. Torch's
switches are global to the process; `Products.in_use` sets them only while a run or an agent computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # as torch's own documentation calls it

from agents.machine.processor import CPU_DESCRIPTION, cpu_flags, read_cpu_fields
from agents.machine.threads import thread_count, threads_in_use

BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")  # "bf16" is ARM's name
FLOAT32, BF16 = "float32", "bf16"
LIBRARIES = {"default": "torch's default", "onednn": "oneDNN"}  # names of the paths in messages


class Cpu(NamedTuple):
    """CPU properties that determine the matmul library."""

    vendor: str  # vendor id: GenuineIntel, AuthenticAMD; empty if unknown
    features: frozenset[str]  # Linux names of instruction sets: avx512f, amx_tile
    onednn: bool = True  # whether this build of torch includes oneDNN


class Products(NamedTuple):
    """Library and precision of the matrix products of a run."""

    path: str  # library of float32 products: "default" (torch's own choice) or "onednn"
    precision: str  # of linear layers during training: "float32" or "bf16"
    reason: str  # why this path was chosen
    refused: str = ""  # messages about requested settings that this machine does not support

    @property
    def description(self) -> str:
        """One line of text, `matrix products: float32, through oneDNN (AMD with AVX-512 …)`, after any refusals."""
        kinds = "bf16, the float32 ones" if self.precision == BF16 else "float32,"
        line = f"matrix products: {kinds} through {LIBRARIES[self.path]} ({self.reason})"
        return "\n".join(filter(None, [self.refused, line]))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Use this path for float32 products, and `thread_count()` threads; restore torch's state afterwards."""
        before = torch.get_float32_matmul_precision()
        # "medium" selects oneDNN. It would multiply in bf16 on a processor with AMX, so `_path` excludes those.
        torch.set_float32_matmul_precision("medium" if self.path == "onednn" else "highest")
        try:
            with threads_in_use(thread_count()):
                yield
        finally:
            torch.set_float32_matmul_precision(before)


def this_cpu(description: Path = CPU_DESCRIPTION) -> Cpu:
    """Return the properties of this machine's processor.

    Args:
        description: File that describes the processor, in the format of Linux's /proc/cpuinfo.
    """
    fields = read_cpu_fields(description)
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return Cpu(fields.get("vendor_id", ""), cpu_flags(fields), onednn)


def choose_products(matmul: str, precision: str, device: str, cpu: Cpu | None = None) -> Products:
    """Return library and precision of a run; unsupported requests fall back and are explained in `refused`.

    Args:
        matmul: "auto" (chosen by processor), "default" (torch's own choice) or "onednn".
        precision: "float32" or "bf16".
        device: Torch device of the run, already resolved.
        cpu: Properties of the processor; None for this machine's.
    """
    cpu = this_cpu() if cpu is None else cpu
    refused = _bf16_refusal(device, cpu) if precision == BF16 else ""
    path, reason, path_refused = _path(matmul, device, cpu)
    return Products(path, FLOAT32 if refused else precision, reason, "\n".join(filter(None, [refused, path_refused])))


def _path(matmul: str, device: str, cpu: Cpu) -> tuple[str, str, str]:
    """Return the path of float32 products, its reason, and a message if the requested path is not supported."""
    if device != "cpu":
        return "default", f"full float32 on {device}", ""
    obstacle = _onednn_obstacle(cpu)
    if matmul == "onednn" and obstacle:
        return "default", obstacle, f"matmul=onednn is not possible: {obstacle}; using torch's default."
    if matmul != "auto":
        return matmul, "as asked", ""
    if obstacle or cpu.vendor in ("GenuineIntel", ""):
        vendor_reason = "MKL is optimised for Intel processors" if cpu.vendor else "the processor's vendor is unknown"
        return "default", obstacle or vendor_reason, ""
    return "onednn", f"{cpu.vendor} with AVX-512 and without AMX, on which MKL is slow", ""


def _onednn_obstacle(cpu: Cpu) -> str:
    """Return why oneDNN cannot multiply in float32 on this processor; empty if it can."""
    if not cpu.onednn:
        return "this build of torch has no oneDNN"
    if "avx512f" not in cpu.features:
        return "torch uses oneDNN for float32 products with AVX-512 only"
    if any(feature.startswith("amx") for feature in cpu.features):
        return "with AMX oneDNN would multiply in bf16"
    return ""


def _bf16_refusal(device: str, cpu: Cpu) -> str:
    """Return a message why the device does not support bf16 products; empty if it does."""
    if device == "cpu":
        supported = cpu.onednn and bool(cpu.features.intersection(BF16_FEATURES))
        obstacle = "this processor has no bf16 instructions" if cpu.onednn else "this build of torch has no oneDNN"
    else:
        supported, obstacle = _multiplies_bf16(device), f"{device} does not support bf16"
    return "" if supported else f"precision=bf16 is not possible: {obstacle}; using float32."


def _multiplies_bf16(device: str) -> bool:
    """Check that a GPU computes a bf16 product and its gradient natively."""
    if device.startswith("cuda") and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    try:
        matrix = torch.ones(8, 8, device=device, requires_grad=True)
        F.linear(matrix.bfloat16(), matrix.bfloat16()).sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, TypeError):  # mps before macOS 14 lacks this type
        return False
    return True
