"""Tune an algorithm: `python -m agents.tune run ppo --size fast --trials 50 --workers 2`."""

import sys
from pathlib import Path
from typing import Annotated

import optuna
import typer
from optuna.storages import run_grpc_proxy_server

from agents.algorithms.budget import check_budget
from agents.algorithms.table import ALGORITHMS, tunable
from agents.cli.console import guarded, make_app, stdout_console
from agents.cli.outputs import check_new, make_folder, write_output
from agents.evaluation.statistics import interval_text
from agents.settings.layers import DEFAULT_SIZE, assignment_layer, make_settings, preset_layer
from agents.tuning.live_view import LiveView
from agents.tuning.outcome import read_outcome
from agents.tuning.page import best_trials_table, finalists_table, find_study, outcome_lines, study_page
from agents.tuning.plan import STAGES, make_plan
from agents.tuning.preset import interval_words, preset_text, provenance_lines
from agents.tuning.rounds import check as check_promise
from agents.tuning.rounds import tune as run_study
from agents.tuning.samplers import PRUNERS, SAMPLERS
from agents.tuning.storages import JOURNALS, check_workers, complete_url, open_storage
from token_env.errors import SettingError, find, unknown_name

app = make_app()
FAILED = 1

Name = Annotated[str, typer.Argument(metavar="STUDY")]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="journal:PATH, postgresql://…, grpc://HOST:PORT or sqlite:///FILE [default: a journal in runs/studies]",
    ),
]
Workers = Annotated[int, typer.Option(help="processes of this command, each on one thread")]


@app.callback()
def tune() -> None:
    """Search for settings of an algorithm that hold on new seeds, on one machine or many."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@app.command()
@guarded
def run(
    algorithm: Annotated[str, typer.Argument(help=" | ".join(ALGORITHMS))],
    size: Annotated[str, typer.Option(help="tiny, fast, intermediate or stable")] = DEFAULT_SIZE,
    trials: Annotated[int, typer.Option(help="of the study in all; those that it has count")] = 50,
    workers: Workers = 1,
    study: Annotated[str | None, typer.Option(metavar="NAME", help="[default: ALGORITHM-SIZE]")] = None,
    storage: Storage = None,
    assignments: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="change a setting of the runs; repeatable")
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="of every training")] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME", help="change this one only; repeatable")
    ] = None,
    seeds: Annotated[int, typer.Option(help="trainings of a trial")] = 3,
    finalists: Annotated[int, typer.Option(help="best trials that are trained again on fresh seeds")] = 5,
    final_seeds: Annotated[int, typer.Option(help="fresh seeds of each, and of the winner once more")] = 5,
    sampler: Annotated[str, typer.Option(help=" | ".join(SAMPLERS))] = "tpe",
    pruner: Annotated[str, typer.Option(help=" | ".join(PRUNERS))] = "median",
    seed: Annotated[int, typer.Option(help="of the sampler")] = 0,
) -> None:
    """Run a study, go on with it, or join it from another host: the same command does all three."""
    if trials < 1:
        raise SettingError(f"{trials} trials were asked for; a study needs at least 1. Type --trials 50, say.")
    find("sampler", sampler, SAMPLERS)
    find("pruner", pruner, PRUNERS)
    named = {"algorithm": algorithm, "episodes": episodes}
    chosen = {key: value for key, value in named.items() if value is not None}
    settings = make_settings(preset_layer(size), *map(assignment_layer, assignments or []), chosen)
    tunable(settings, parameters or ())
    check_budget(settings)
    name = checked_name(study or f"{algorithm}-{size}")
    plan = make_plan(
        settings=settings, parameters=tuple(parameters or ()), seeds=seeds, finalists=finalists,
        final_seeds=final_seeds, sampler=sampler, pruner=pruner, seed=seed,
    )  # fmt: skip
    url = checked_storage(storage, name, workers)
    try:
        with LiveView() as view:
            outcome = run_study(url, name, plan, trials, workers, view.announce)
    except KeyboardInterrupt:
        print("what has ended is kept; the same command again goes on.", file=sys.stderr)
        raise
    stdout_console().print(finalists_table(outcome))
    print("\n".join(provenance_lines(name, outcome)))
    more = f" --storage {storage}" if storage else ""
    print(f"python -m agents.tune show {name}{more}\npython -m agents.tune export {name}{more}")


@app.command()
@guarded
def show(
    name: Name,
    storage: Storage = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="[default: runs/studies/STUDY.html]")] = None,
) -> None:
    """Show the best trials, and write a page with importances, history, parallel coordinates and curves."""
    with open_storage(existing_storage(storage, name)) as opened:
        study, lines = find_study(opened, name), outcome_lines(opened, name)
        page = out or JOURNALS / f"{name}.html"
        make_folder(page.parent)
        write_output(page, study_page(study, lines).encode())
        stdout_console().print(best_trials_table(study))
    print("\n".join([*lines, f"page: {page}"]))


@app.command()
@guarded
def export(
    name: Name,
    storage: Storage = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="must not exist [default: STUDY.yaml]")] = None,
) -> None:
    """Write the winner as a preset for `python -m agents.train ALGORITHM --config FILE`."""
    with open_storage(existing_storage(storage, name)) as opened:
        outcome = read_outcome(opened, name)
    path = out or Path(f"{name}.yaml")
    check_new(path)
    make_folder(path.parent)
    write_output(path, preset_text(name, outcome).encode())
    print(f"python -m agents.train {outcome.plan.settings.algorithm} --config {path}")


@app.command()
@guarded
def check(name: Name, workers: Workers = 1, storage: Storage = None) -> None:
    """Train the winner on a fourth set of seeds: does its promise hold, and what does it beat?"""
    url = existing_storage(storage, name)
    check_workers(url, checked_workers(workers))
    with LiveView() as view:
        checked = check_promise(url, name, workers, view.announce)
    mean = sum(checked.winner.test_scores) / len(checked.winner.test_scores)
    print(
        f"{checked.winner.label}: test score {mean:.4f} on {len(checked.winner.test_scores)} new seeds, "
        f"{'inside' if checked.kept else 'OUTSIDE'} the promised {interval_words(checked.outcome.promise)}"
    )
    for other in checked.others:
        print(f"more than {other.label}: {interval_text(checked.gain_over(other))}")
    if not checked.kept:
        raise typer.Exit(FAILED)


@app.command()
@guarded
def serve(
    storage: Annotated[str, typer.Option(metavar="URL", help="postgresql://…, which it stands before")],
    host: Annotated[str, typer.Option(help="that it listens on")] = "localhost",
    port: Annotated[int, typer.Option()] = 13000,
) -> None:
    """Stand as Optuna's gRPC proxy before a database, for very many workers: they type --storage grpc://HOST:PORT."""
    if not storage.startswith("postgres"):
        raise SettingError("the proxy stands before PostgreSQL only; type --storage postgresql://….")
    with open_storage(complete_url(storage, "")) as opened:
        print(f"python -m agents.tune run … --storage grpc://{host}:{port}", file=sys.stderr, flush=True)
        run_grpc_proxy_server(opened, host=host, port=port)


def checked_name(name: str) -> str:
    """A study's name, which also names files and presets.

    Raises:
        SettingError: a name that cannot.
    """
    make_settings({"name": name})
    if name.rpartition(".")[2] in STAGES:
        raise SettingError(f"{name!r} is the name of a part of a study; type --study with another.")
    return name


def checked_workers(workers: int) -> int:
    """The number of workers.

    Raises:
        SettingError: none.
    """
    if workers < 1:
        raise SettingError(f"{workers} workers were asked for; type --workers 1, or more.")
    return workers


def checked_storage(storage: str | None, name: str, workers: int) -> str:
    """The complete URL of a storage that takes so many workers.

    Raises:
        SettingError: something else than a storage, or too many workers for it.
    """
    url = complete_url(storage, name)
    check_workers(url, checked_workers(workers))
    return url


def existing_storage(storage: str | None, name: str) -> str:
    """The complete URL of the storage of a study that is there.

    Raises:
        SettingError: there is no journal of this study where nobody named a storage.
    """
    if storage is None and not (JOURNALS / f"{name}.journal").is_file():
        raise unknown_name("study", name, sorted(path.stem for path in JOURNALS.glob("*.journal")))
    return complete_url(storage, name)


if __name__ == "__main__":
    app()
