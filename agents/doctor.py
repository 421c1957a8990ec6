"""Examine this machine, and say what to type on it, or check one of its devices: `python -m agents.doctor`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from agents.cli.console import run_command, stdout_console
from agents.cli.outputs import check_output, write_output
from agents.diagnosis.device_check import check_device
from agents.diagnosis.machine_report import examine
from agents.machine.devices import resolve_device
from agents.machine.matmul import LIBRARIES
from agents.runs.json_files import json_bytes
from token_env import SIZES
from token_env.errors import SettingError

CHECK_FAILED = 1  # exit code


def doctor(
    sizes: Annotated[
        list[str] | None, typer.Option("--size", help="train a rollout of this size only; repeatable [default: all]")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="check this device against the cpu instead: mps, cuda or cpu")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="write what was found there [default: device_check.json with --device]"
        ),
    ] = None,
) -> None:
    """Tell versions, devices, how fast this machine multiplies and trains, and what to type on it."""
    if device and sizes:
        raise SettingError("--device checks one device and trains no size; leave out --size or --device.")
    if device:
        resolve_device(device)
        out = out or Path("device_check.json")
    if out:
        check_output(out, option="--json")
    found = check_device(device) if device else examine(sizes or SIZES)
    if out:
        write_output(out, json_bytes(found), "--json")
    if device:
        show_checks(stdout_console(), found, out)
        raise typer.Exit(0 if found["passed"] else CHECK_FAILED)
    show(stdout_console(), found)


def show_checks(console: Console, found: dict[str, Any], out: Path | None) -> None:
    """What the checks of a device found."""
    rows = [
        (check["name"], "passed" if check["passed"] else "FAILED", _figures(check["found"]))
        for check in found["checks"]
    ]
    console.print(_table(f"checks of {found['device']}", ("check", "", "found"), rows))
    console.print(f"{'passed' if found['passed'] else 'FAILED'}; the report: {out}", markup=False, highlight=False)


def _figures(found: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:,.3g}" for name, value in found.items())


def show(console: Console, found: dict[str, Any]) -> None:
    """What was found, as tables, and the advice in sentences."""
    machine = found["machine"]
    about = {
        **found["versions"],
        "processor": f"{machine['processor']}, {machine['cores']} cores; threads of torch: {machine['threads']}",
        "system": machine["system"],
        "memory": f"{machine['memory_mb']:,} MB",
        **{f"device {name}": state for name, state in found["devices"].items()},
    }
    rows = [(name, "not installed" if value is None else value) for name, value in about.items()]
    console.print(_table("this machine", ("", ""), rows))
    console.print(_table("matrix products", ("device", "path", "precision", "GFLOP/s", "error", ""), _products(found)))
    headings = ("size", "steps/s", "a run takes", "memory so far")
    console.print(_table("PPO, the preset of each size, one rollout and its update", headings, _training(found)))
    for sentence in found["advice"]:
        console.print(f"- {sentence}", markup=False, highlight=False)


def _products(found: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for path in found["multiplications"]:
        measured = ("—", "—") if path["gflops"] is None else (f"{path['gflops']:,.0f}", f"{path['error']:.0e}")
        why = f"used: {found['products']['reason']}" if path["used"] and path["device"] == found["chosen"] else ""
        rows.append((path["device"], LIBRARIES[path["library"]], path["precision"], *measured, path["why_not"] or why))
    return rows


def _training(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            size,
            f"{took['steps_per_second']:,.0f}",
            f"{took['run_seconds'] / 60:.1f} min",
            f"{took['peak_memory_mb']:,.0f} MB",
        )
        for size, took in found["training"].items()
    ]


def _table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(headings))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("GFLOP/s", "error", "steps/s") else "left")
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    run_command(doctor)
