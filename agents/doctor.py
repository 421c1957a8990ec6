"""Examine this machine and recommend options, or check one of its devices: `python -m agents.doctor`."""

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
        list[str] | None, typer.Option("--size", help="measure training at this size only; repeatable [default: all]")
    ] = None,
    device: Annotated[str | None, typer.Option(help="check that mps, cuda or cpu computes correctly, instead")] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="save the results to this file [default: device_check.json with --device]"
        ),
    ] = None,
) -> None:
    """Get versions, devices, the speed of matrix products and training on this machine, and recommended options."""
    if device and sizes:
        raise SettingError("--device checks one device and measures no size; leave out --size or --device.")
    if device:
        resolve_device(device)
        out = out or Path("device_check.json")
    if out:
        check_output(out, option="--json")
    results = check_device(device) if device else examine(sizes or SIZES)
    if out:
        write_output(out, json_bytes(results), "--json")
    if device:
        print_checks(stdout_console(), results, out)
        raise typer.Exit(0 if results["passed"] else CHECK_FAILED)
    print_examination(stdout_console(), results)


def print_checks(console: Console, results: dict[str, Any], out: Path | None) -> None:
    """Print the checks of a device as a table, and the path of the saved results."""
    rows = [
        (check["name"], "passed" if check["passed"] else "FAILED", _figures(check["found"]))
        for check in results["checks"]
    ]
    console.print(_table(f"checks of {results['device']}", ("check", "", "figures"), rows))
    console.print(f"{'passed' if results['passed'] else 'FAILED'}; saved to {out}", markup=False, highlight=False)


def _figures(figures: dict[str, Any]) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value:,.3g}" for name, value in figures.items())


def print_examination(console: Console, examination: dict[str, Any]) -> None:
    """Print an examination of the machine as tables, and the advice as a list."""
    machine = examination["machine"]
    facts = {
        **examination["versions"],
        "processor": f"{machine['processor']}, {machine['cores']} cores; threads of torch: {machine['threads']}",
        "system": machine["system"],
        "memory": f"{machine['memory_mb']:,} MB",
        **{f"device {name}": state for name, state in examination["devices"].items()},
    }
    rows = [(name, "not installed" if value is None else value) for name, value in facts.items()]
    console.print(_table("this machine", ("", ""), rows))
    console.print(
        _table("matrix products", ("device", "path", "precision", "GFLOP/s", "error", ""), _product_rows(examination))
    )
    headings = ("size", "device", "precision", "threads", "steps/s", "one run", "peak memory so far")
    console.print(_table("PPO with the preset of each size", headings, _training_rows(examination)))
    for sentence in examination["advice"]:
        console.print(f"- {sentence}", markup=False, highlight=False)


def _product_rows(examination: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for path in examination["multiplications"]:
        figures = ("—", "—") if path["gflops"] is None else (f"{path['gflops']:,.0f}", f"{path['error']:.0e}")
        used = path["used"] and path["device"] == examination["chosen"]
        note = path["why_not"] or (f"used: {examination['products']['reason']}" if used else "")
        rows.append((path["device"], LIBRARIES[path["library"]], path["precision"], *figures, note))
    return rows


def _training_rows(examination: dict[str, Any]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    before = ""
    for speed in examination["training"]:
        size, before = speed["size"] if speed["size"] != before else "", speed["size"]
        way = speed["device"], speed["precision"], str(speed["threads"])
        figures = (
            f"{speed['steps_per_second']:,.0f}",
            f"{speed['run_seconds'] / 60:.1f} min",
            f"{speed['peak_memory_mb']:,.0f} MB",
        )
        rows.append((size, *way, *figures))
    return rows


def _table(title: str, headings: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Table:
    table = Table(title=title, title_justify="left", show_header=any(headings))
    for heading in headings:
        table.add_column(heading, justify="right" if heading in ("GFLOP/s", "error", "threads", "steps/s") else "left")
    for row in rows:
        table.add_row(*row)
    return table


if __name__ == "__main__":
    run_command(doctor)
