"""Choose how matrices are multiplied: by which library, and in float32 or bf16.

The choice follows from the processor and the settings alone, never from a timing, so that a run repeats. Torch keeps
it for the whole process; here it holds only while a run or an agent computes.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812  # as torch's own documentation calls it

CPU_DESCRIPTION = Path("/proc/cpuinfo")  # of Linux; elsewhere nothing is known, and torch's default stays
BF16_FEATURES = ("avx512_bf16", "amx_bf16", "bf16")  # the last as ARM calls it
FLOAT32, BF16 = "float32", "bf16"
LIBRARIES = {"default": "torch's default", "onednn": "oneDNN"}  # how the paths are called in sentences


class Cpu(NamedTuple):
    """What of a processor the choice depends on."""

    vendor: str  # as it names itself: GenuineIntel, AuthenticAMD; empty where it is not known
    features: frozenset[str]  # as Linux names them: avx512f, amx_tile
    onednn: bool = True  # whether torch has this library


class Products(NamedTuple):
    """How matrices are multiplied."""

    path: str  # of float32 products: "default", torch's own choice, or "onednn"
    precision: str  # of the products of linear layers while training: "float32" or "bf16"
    reason: str  # why this path
    refused: str = ""  # what was asked for and cannot be had, and why

    @property
    def told(self) -> str:
        """In words, on a line each: `matrix products: float32, through oneDNN (AMD with AVX-512 …)`."""
        which = "bf16, the float32 ones" if self.precision == BF16 else "float32,"
        line = f"matrix products: {which} through {LIBRARIES[self.path]} ({self.reason})"
        return "\n".join(filter(None, [self.refused, line]))

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Multiply float32 matrices in this way for a while, as they were multiplied before afterwards."""
        before = torch.get_float32_matmul_precision()
        # "medium" would allow bf16 products where a processor has AMX; where it has none it leads to oneDNN, in float32
        torch.set_float32_matmul_precision("medium" if self.path == "onednn" else "highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(before)


def this_cpu(description: Path = CPU_DESCRIPTION) -> Cpu:
    """The processor of this machine.

    Args:
        description: of it, as Linux gives it.
    """
    fields: dict[str, str] = {}
    if description.exists():
        for line in description.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            fields.setdefault(name.strip(), value.strip())
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    features = fields.get("flags") or fields.get("Features", "")
    return Cpu(fields.get("vendor_id", ""), frozenset(features.split()), onednn)


def choose_products(matmul: str, precision: str, device: str, cpu: Cpu | None = None) -> Products:
    """How a run multiplies; what this machine does not have is replaced by what it has, and named in `refused`.

    Args:
        matmul: "auto", the rule; "default", torch's own choice; or "onednn".
        precision: "float32" or "bf16".
        device: where it computes, already resolved.
        cpu: the processor; this machine's if None.
    """
    cpu = this_cpu() if cpu is None else cpu
    refused = _why_not_bf16(device, cpu) if precision == BF16 else ""
    path, reason, no_onednn = _path(matmul, device, cpu)
    return Products(path, FLOAT32 if refused else precision, reason, "\n".join(filter(None, [refused, no_onednn])))


def _path(matmul: str, device: str, cpu: Cpu) -> tuple[str, str, str]:
    """The path of float32 products, why, and why not what was asked for."""
    if device != "cpu":
        return "default", f"full float32 on {device}", ""
    impossible = _why_not_onednn(cpu)
    if matmul == "onednn" and impossible:
        return "default", impossible, f"matmul=onednn cannot be had: {impossible}; going on with torch's default."
    if matmul != "auto":
        return matmul, "as asked", ""
    if impossible or cpu.vendor in ("GenuineIntel", ""):
        of_vendor = "MKL is made for Intel's processors" if cpu.vendor else "the processor does not name its maker"
        return "default", impossible or of_vendor, ""
    return "onednn", f"{cpu.vendor} with AVX-512 and without AMX, on which MKL is slow", ""


def _why_not_onednn(cpu: Cpu) -> str:
    """Why oneDNN does not multiply in float32 here; empty if it does."""
    if not cpu.onednn:
        return "this torch has no oneDNN"
    if "avx512f" not in cpu.features:
        return "torch asks oneDNN for float32 products with AVX-512 only"
    if any(feature.startswith("amx") for feature in cpu.features):
        return "with AMX oneDNN would multiply in bf16"
    return ""


def _why_not_bf16(device: str, cpu: Cpu) -> str:
    """Why products cannot be in bf16 there, in a sentence; empty if they can."""
    if device == "cpu":
        able = cpu.onednn and bool(cpu.features.intersection(BF16_FEATURES))
        lacking = "this processor has no bf16 instructions" if cpu.onednn else "this torch has no oneDNN"
    else:
        able, lacking = _multiplies_bf16(device), f"{device} has no bf16 here"
    return "" if able else f"precision=bf16 cannot be had: {lacking}; going on in float32."


def _multiplies_bf16(device: str) -> bool:
    """Whether a bf16 product and its gradient can be computed on a GPU by its own instructions."""
    if device.startswith("cuda") and not torch.cuda.is_bf16_supported(including_emulation=False):
        return False
    try:
        matrix = torch.ones(8, 8, device=device, requires_grad=True)
        F.linear(matrix.bfloat16(), matrix.bfloat16()).sum().backward()  # type: ignore[no-untyped-call]
    except (RuntimeError, TypeError):  # mps before macOS 14 does not know the type
        return False
    return True
