"""Measure one run of a case and add its row: what the harness starts in a process of its own.

`python -m benchmarks.runner.worker BENCHMARK CASE SEED RESULTS RUN`; it ends when its standard input does, so that a
harness that was killed leaves nobody behind.
"""

import os
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from agents.cli.console import BY_SIGNAL
from agents.evaluation.agent import Agent, Player
from agents.evaluation.scores import Figures, Scores, policy_figures
from agents.machine.signals import Interrupted
from agents.runs import run_dir
from agents.runs.metrics import load_metrics
from agents.runs.summary import read_record
from agents.settings.schema import Settings
from agents.training.finish import Result
from agents.training.fit import fit
from benchmarks.measures.results_file import append
from benchmarks.measures.row import FORMAT, Row
from benchmarks.suite.cases import find_benchmark
from token_env.errors import SettingError
from token_env.rules.task import held_out

GIVEN_UP = 3  # exit code where the harness has gone


def measure(benchmark: str, case: str, seed: int, folder: Path, run: Path) -> bool:
    """Train and evaluate one run from its beginning, then add its row to the results in `folder`.

    Args:
        benchmark: which one.
        case: one of its cases.
        seed: of the run.
        folder: where the results are.
        run: directory of the run; what an unfinished one left there is removed.

    Returns:
        False if the row was there already.

    Raises:
        SettingError: an unknown benchmark or case.
        Interrupted: a signal ended it early.
    """
    declared = find_benchmark(benchmark).find_case(case)
    settings, begun = declared.settings(seed), declared.start_settings(seed)
    start = _finished(begun, run.with_name(f"{run.name}-start")) if begun else None
    result = _finished(settings.model_copy(update={"from_run": str(start.run)}) if start else settings, run)
    return append(benchmark, folder, row_of(case, result, start))


def _finished(settings: Settings, run: Path) -> Result:
    """Train and evaluate a run in this directory, whatever is there."""
    shutil.rmtree(run, ignore_errors=True)
    result = fit(settings, run, progress=False)
    if result.interrupted:
        raise Interrupted(result.interrupted)
    return result


def row_of(case: str, result: Result, start: Result | None = None) -> Row:
    """The row of a finished run, and of the one whose weights it began with."""
    record, summary = read_record(result.run), result.summary
    episodes, updates = load_metrics(result.run)
    policy = result.agent.policy
    row: dict[str, Any] = {
        "format": FORMAT,
        "case": case,
        "seed": result.agent.settings.seed,
        "started": record.started,
        "revision": record.revision,
        "versions": record.versions,
        "machine": record.machine,
        "settings": result.agent.settings.to_dict() | {"from_run": None},  # a path of this machine
        "language": result.agent.language.fingerprint,
        "training": summary.cost(record.threads),
        "policy_bytes": sum(weights.numel() * weights.element_size() for weights in policy.parameters()),
        "file_bytes": (result.run / run_dir.WEIGHTS).stat().st_size,
        "distinct_tokens_last_100": summary.distinct_tokens_last_100,
        "returns": [round(value, 3) for value in episodes["return"]],
        "losses": [float(f"{loss:.4g}") if loss == loss else None for loss in updates["loss"].astype(float)],
        "rollout_tokens": updates["distinct_tokens"].tolist(),
        "held_out": {name: _rounded(figures) for name, figures in summary.evaluation.items()},
        "training_problems": summary.training_problems and _rounded(summary.training_problems),
        "without_masks": _without_masks(result.agent) if result.agent.uses_mask else None,
        "start": start
        and {
            "settings": start.agent.settings.to_dict(),
            "training": start.summary.cost(read_record(start.run).threads),
        },
    }
    return Row.model_validate(row)


def _without_masks(agent: Agent) -> Figures:
    """What the agent earns on held-out problems where every token may be said, the most probable ones."""
    chosen = agent.settings.evaluation
    free = Player(agent, masked=False)
    return _rounded(policy_figures(free, held_out(agent.task, chosen.split), range(chosen.problems)))


def _rounded(scores: Scores) -> Figures:
    """The figures of a policy that a row stores, rounded to 5 decimals."""
    shares = tuple(None if share is None else round(share, 5) for share in scores.adequacy_by_rarity)
    means = {name: round(getattr(scores, name), 5) for name in Figures.model_fields if name != "adequacy_by_rarity"}
    return Figures(**means, adequacy_by_rarity=shares)


def end_with_the_harness() -> None:
    """End this process at once when whoever holds the other end of standard input goes."""
    os.read(sys.stdin.fileno(), 1)  # blocks until the other end is closed
    os._exit(GIVEN_UP)


def main(words: list[str]) -> int:
    """Measure what the command line names; the exit code."""
    benchmark, case, seed, folder, run = words
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the harness, which ends its workers
    threading.Thread(target=end_with_the_harness, daemon=True).start()
    try:
        measure(benchmark, case, int(seed), Path(folder), Path(run))
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        return BY_SIGNAL + stop.number
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
