"""Show a study: its best trials in the terminal, and with Optuna's plots as one page that needs no network."""

import html
from collections.abc import Callable, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from optuna.visualization import (
    plot_intermediate_values,
    plot_optimization_history,
    plot_parallel_coordinate,
    plot_param_importances,
)
from rich.table import Table

from agents.tuning.outcome import StudyOutcome, read_outcome
from agents.tuning.plan import read_plan
from agents.tuning.preset import provenance_lines
from agents.tuning.trials import STATES
from token_env.errors import SettingError

BEST = 10  # trials in the tables
LEAST_TRIALS = 2  # that came to their end, before anything can be drawn
PLOTS: dict[str, Callable[[optuna.Study], Any]] = {
    "History": plot_optimization_history,
    "Importances": plot_param_importances,
    "Parallel coordinates": plot_parallel_coordinate,
    "Curves": plot_intermediate_values,
}
STYLE = (
    "body{font:15px sans-serif;max-width:1100px;margin:2em auto;padding:0 1em}table{display:block;overflow-x:auto}"
    "td,th{padding:.2em .8em;text-align:right}"
)


def find_study(storage: BaseStorage, name: str) -> optuna.Study:
    """A study of `agents.tune`, as Optuna has it.

    Raises:
        SettingError: there is none of this name.
    """
    read_plan(storage, name)
    return optuna.load_study(study_name=name, storage=storage)


def outcome_lines(storage: BaseStorage, name: str) -> list[str]:
    """What a study came to, or how far it is."""
    try:
        return provenance_lines(name, read_outcome(storage, name))
    except SettingError as error:
        return [str(error)]


def best_trials_table(study: optuna.Study) -> Table:
    """The best trials for a terminal."""
    trials, names = _best(study.get_trials(deepcopy=False)), _parameters(study)
    table = Table(title=f"{study.study_name}: {_counted(study)}", title_justify="left")
    for heading in ("trial", "score", *names):
        table.add_column(heading, justify="right")
    for trial in trials:
        table.add_row(*_cells(trial, names))
    return table


def finalists_table(outcome: StudyOutcome) -> Table:
    """The trials that were trained again, best first."""
    table = Table(title="trained again on fresh seeds", title_justify="left")
    for heading in ("", "mean score", *(f"seed {place + 1}" for place in range(outcome.plan.final_seeds))):
        table.add_column(heading, justify="right")
    for one in outcome.finalists:
        table.add_row(one.label, f"{one.mean:.4f}", *(f"{score:.4f}" for score in one.scores))
    return table


def study_page(study: optuna.Study, lines: Sequence[str]) -> str:
    """The study as HTML: its best trials, importances, history, parallel coordinates, curves. The scripts are inside.

    Args:
        study: what is shown.
        lines: sentences about it, for the top of the page.
    """
    names = _parameters(study)
    rows = "".join(_row("td", _cells(trial, names)) for trial in _best(study.get_trials(deepcopy=False)))
    parts = [
        f"<h1>{html.escape(study.study_name)}</h1>",
        "".join(f"<p>{html.escape(line)}</p>" for line in [_counted(study), *lines]),
        f"<h2>Best trials</h2><table>{_row('th', ['trial', 'score', *names])}{rows}</table>",
        *_plots(study),
    ]
    head = f"<head><meta charset='utf-8'><title>{html.escape(study.study_name)}</title><style>{STYLE}</style></head>"
    return f"<!DOCTYPE html><html>{head}<body>{''.join(parts)}</body></html>"


def _plots(study: optuna.Study) -> list[str]:
    complete = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if len({trial.value for trial in complete}) < LEAST_TRIALS:
        return [f"<p>Plots need at least {LEAST_TRIALS} trials that came to different ends.</p>"]
    parts = []
    for place, (title, plot) in enumerate(PLOTS.items()):
        drawn = plot(study).to_html(full_html=False, include_plotlyjs=place == 0)
        parts.append(f"<h2>{title}</h2>{drawn}")
    return parts


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _best(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: -(trial.value or 0.0))[:BEST]


def _parameters(study: optuna.Study) -> list[str]:
    return list(dict.fromkeys(name for trial in study.get_trials(deepcopy=False) for name in trial.params))


def _cells(trial: FrozenTrial, names: Sequence[str]) -> list[str]:
    values = [trial.params.get(name, "—") for name in names]
    told = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
    return [str(trial.number), "—" if trial.value is None else f"{trial.value:.4f}", *told]


def _counted(study: optuna.Study) -> str:
    """How many trials ended in which way, and how many have not."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    told = [f"{states.count(state)} {word}" for state, word in STATES.items() if state in states]
    left = sum(not state.is_finished() for state in states)
    return ", ".join([*told, *([f"{left} not ended"] if left else [])])
