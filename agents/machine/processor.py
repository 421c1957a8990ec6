"""Describe the processor: its model, and the instruction sets that decide which kernels torch computes with.

Kernels round differently, so the same seed gives other last digits where they differ. On Linux /proc/cpuinfo tells, on
macOS sysctl; whatever cannot be found is None.
"""

import platform
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import torch

CPU_DESCRIPTION = Path("/proc/cpuinfo")  # exists on Linux only
COMMAND_SECONDS = 10.0  # time limit of git and sysctl
INSTRUCTION_SETS = (  # Linux names of those that decide kernels of torch, oneDNN and MKL; asimd is NEON
    "avx", "fma", "avx2", "avx_vnni",
    "avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512_vnni", "avx512_bf16", "avx512_fp16",
    "amx_tile", "amx_int8", "amx_bf16", "amx_fp16",
    "asimd", "asimdhp", "asimddp", "bf16", "i8mm", "sve", "sve2", "sme",
)  # fmt: skip
MACOS_NAMES = {  # entries of sysctl, by Linux name
    "avx": "avx1_0",
    "avx2": "avx2_0",
    "asimd": "neon",
    "asimdhp": "arm.FEAT_FP16",
    "asimddp": "arm.FEAT_DotProd",
    "bf16": "arm.FEAT_BF16",
    "i8mm": "arm.FEAT_I8MM",
    "sme": "arm.FEAT_SME",
}


class Processor(NamedTuple):
    """A processor; None stands for what the operating system does not tell."""

    name: str  # model name, or the architecture if the name is unknown
    vendor: str | None  # AuthenticAMD, GenuineIntel; on ARM the number of the implementer
    family: int | None
    model: int | None  # number within the family; on ARM the part
    instruction_sets: tuple[str, ...] | None  # those of `INSTRUCTION_SETS` that the operating system lists
    torch_kernels: str  # kernels that torch chose: AVX2, AVX512, DEFAULT


def this_processor() -> Processor:
    """Return the processor of this machine."""
    if sys.platform == "darwin":
        return macos_processor(_fields((command_output("sysctl", "-a") or "").splitlines()))
    return linux_processor(read_cpu_fields())


def linux_processor(fields: Mapping[str, str]) -> Processor:
    """Return the processor that these fields of /proc/cpuinfo describe; x86 and ARM use other names."""
    flags = cpu_flags(fields)
    return Processor(
        name=fields.get("model name") or platform.machine(),
        vendor=fields.get("vendor_id") or fields.get("CPU implementer"),
        family=_number(fields.get("cpu family") or fields.get("CPU architecture")),
        model=_number(fields.get("model") or fields.get("CPU part")),
        instruction_sets=tuple(name for name in INSTRUCTION_SETS if name in flags) if flags else None,
        torch_kernels=_torch_kernels(),
    )


def macos_processor(fields: Mapping[str, str]) -> Processor:
    """Return the processor that these fields of `sysctl -a` describe; Intel and Apple use other names."""
    present = {name for name, value in fields.items() if name.startswith("hw.optional.") and value == "1"}
    sets = (name for name in INSTRUCTION_SETS if f"hw.optional.{MACOS_NAMES.get(name, name)}" in present)
    return Processor(
        name=fields.get("machdep.cpu.brand_string") or platform.machine(),
        vendor=fields.get("machdep.cpu.vendor"),
        family=_number(fields.get("machdep.cpu.family") or fields.get("hw.cpufamily")),
        model=_number(fields.get("machdep.cpu.model") or fields.get("hw.cpusubfamily")),
        instruction_sets=tuple(sets) if present else None,
        torch_kernels=_torch_kernels(),
    )


def _torch_kernels() -> str:
    return str(torch.backends.cpu.get_cpu_capability())


def _number(text: str | None) -> int | None:
    try:
        return int(text or "", 0)  # ARM's parts are hexadecimal: 0xd0c
    except ValueError:
        return None


def read_cpu_fields(description: Path = CPU_DESCRIPTION) -> dict[str, str]:
    """Return the fields of the first processor in a file of /proc/cpuinfo's format; empty if it cannot be read."""
    try:
        lines = description.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return _fields(lines)


def cpu_flags(fields: Mapping[str, str]) -> frozenset[str]:
    """Return the features of a processor by their Linux names, from the fields of /proc/cpuinfo."""
    return frozenset((fields.get("flags") or fields.get("Features", "")).split())


def _fields(lines: Iterable[str]) -> dict[str, str]:
    """Split lines of the form `name: value`; the first value of a name counts."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        fields.setdefault(name.strip(), value.strip())
    return fields


def command_output(*command: str) -> str | None:
    """Return the output of a command; None if it cannot be run or fails."""
    try:
        process = subprocess.run(command, capture_output=True, text=True, timeout=COMMAND_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return process.stdout.strip()
