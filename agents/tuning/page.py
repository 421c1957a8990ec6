"""Show a study: a table of its best trials in the terminal, and a self-contained HTML page with Optuna's plots."""

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

TABLE_TRIALS = 10  # best trials shown in the tables
MIN_PLOTTED_TRIALS = 2  # Optuna's plots need as many complete trials with different values
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
    """Return the Optuna study of this name, made by `agents.tune`.

    Raises:
        SettingError: Unknown study, or a study made by another program.
    """
    read_plan(storage, name)
    return optuna.load_study(study_name=name, storage=storage)


def outcome_lines(storage: BaseStorage, name: str) -> list[str]:
    """Return the sentences on a study's outcome, or the reason why it has none yet."""
    try:
        return provenance_lines(name, read_outcome(storage, name))
    except SettingError as error:
        return [str(error)]


def best_trials_table(study: optuna.Study) -> Table:
    """Build the terminal table of the best trials."""
    trials, names = _best(study.get_trials(deepcopy=False)), _parameters(study)
    table = Table(title=f"{study.study_name}: {_state_counts(study)}", title_justify="left")
    for heading in ("trial", "score", *names):
        table.add_column(heading, justify="right")
    for trial in trials:
        table.add_row(*_cells(trial, names))
    return table


def finalists_table(outcome: StudyOutcome) -> Table:
    """Build the terminal table of the finalists and their scores on fresh seeds, the best first."""
    table = Table(title="trained again on fresh seeds", title_justify="left")
    for heading in ("", "mean score", *(f"seed {index + 1}" for index in range(outcome.plan.final_seeds))):
        table.add_column(heading, justify="right")
    for finalist in outcome.finalists:
        table.add_row(finalist.label, f"{finalist.mean:.4f}", *(f"{score:.4f}" for score in finalist.scores))
    return table


def study_page(study: optuna.Study, lines: Sequence[str]) -> str:
    """Return the study as one HTML page with embedded scripts: its best trials and Optuna's plots.

    Args:
        study: The study to show.
        lines: Sentences for the top of the page.
    """
    names = _parameters(study)
    rows = "".join(_row("td", _cells(trial, names)) for trial in _best(study.get_trials(deepcopy=False)))
    parts = [
        f"<h1>{html.escape(study.study_name)}</h1>",
        "".join(f"<p>{html.escape(line)}</p>" for line in [_state_counts(study), *lines]),
        f"<h2>Best trials</h2><table>{_row('th', ['trial', 'score', *names])}{rows}</table>",
        *_plots(study),
    ]
    head = f"<head><meta charset='utf-8'><title>{html.escape(study.study_name)}</title><style>{STYLE}</style></head>"
    return f"<!DOCTYPE html><html>{head}<body>{''.join(parts)}</body></html>"


def _plots(study: optuna.Study) -> list[str]:
    complete = [trial for trial in study.get_trials(deepcopy=False) if trial.state == TrialState.COMPLETE]
    if len({trial.value for trial in complete}) < MIN_PLOTTED_TRIALS:
        return [f"<p>Plots need at least {MIN_PLOTTED_TRIALS} complete trials with different scores.</p>"]
    parts = []
    for index, (title, plot) in enumerate(PLOTS.items()):
        plot_html = plot(study).to_html(full_html=False, include_plotlyjs=index == 0)
        parts.append(f"<h2>{title}</h2>{plot_html}")
    return parts


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"


def _best(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    return sorted(complete, key=lambda trial: -(trial.value or 0.0))[:TABLE_TRIALS]


def _parameters(study: optuna.Study) -> list[str]:
    return list(dict.fromkeys(name for trial in study.get_trials(deepcopy=False) for name in trial.params))


def _cells(trial: FrozenTrial, names: Sequence[str]) -> list[str]:
    values = [trial.params.get(name, "—") for name in names]
    texts = [f"{value:.4g}" if isinstance(value, float) else str(value) for value in values]
    return [str(trial.number), "—" if trial.value is None else f"{trial.value:.4f}", *texts]


def _state_counts(study: optuna.Study) -> str:
    """Format the number of trials in each state, such as `30 complete, 20 pruned, 2 not finished`."""
    states = [trial.state for trial in study.get_trials(deepcopy=False)]
    counts = [f"{states.count(state)} {word}" for state, word in STATES.items() if state in states]
    unfinished = sum(not state.is_finished() for state in states)
    return ", ".join([*counts, *([f"{unfinished} not finished"] if unfinished else [])])
