"""Tune an algorithm's hyper-parameters: `python -m agents.tune run ppo --size fast --trials 50 --workers 2`."""

import sys
from pathlib import Path
from typing import Annotated

import optuna
import typer
from optuna.storages import run_grpc_proxy_server

from agents.algorithms.budget import check_budget
from agents.algorithms.table import ALGORITHMS, tunable_parameters
from agents.cli.console import handle_errors, make_app, stdout_console
from agents.cli.outputs import check_new_file, make_folder, write_output
from agents.evaluation.formats import bounds_text, interval_text
from agents.runs.run_dir import as_typed
from agents.settings.layers import DEFAULT_SIZE, assignment_layer, make_settings, preset_layer
from agents.tuning.live_view import LiveView
from agents.tuning.outcome import MIN_SEEDS_FOR_PREDICTION, read_outcome
from agents.tuning.page import best_trials_table, finalists_table, find_study, outcome_lines, study_page
from agents.tuning.plan import STAGES, make_plan
from agents.tuning.preset import preset_text, provenance_lines
from agents.tuning.rounds import check_winner, run_study
from agents.tuning.samplers import PRUNERS, SAMPLERS
from agents.tuning.storages import JOURNAL_FOLDER, check_workers, complete_url, open_storage
from token_env.errors import SettingError, find, unknown_name
from token_env.rules.rewards import REWARDS, find_reward

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
Workers = Annotated[int, typer.Option(help="worker processes of this command, each on one thread")]


@app.callback()
def tune() -> None:
    """Search for settings of an algorithm that hold on new seeds, on one machine or many."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@app.command()
@handle_errors
def run(
    algorithm: Annotated[str, typer.Argument(help=" | ".join(ALGORITHMS))],
    size: Annotated[str, typer.Option(help="size of the task: tiny, fast, intermediate or stable")] = DEFAULT_SIZE,
    trials: Annotated[int, typer.Option(help="total trials of the study, finished ones included")] = 50,
    workers: Workers = 1,
    study: Annotated[
        str | None, typer.Option(metavar="NAME", help="name of the study [default: ALGORITHM-SIZE]")
    ] = None,
    storage: Storage = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change a setting of every training; repeatable"),
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="episodes of every training")] = None,
    parameters: Annotated[
        list[str] | None, typer.Option("--parameter", metavar="NAME", help="tune only this parameter; repeatable")
    ] = None,
    seeds: Annotated[int, typer.Option(help="trainings per trial, one per seed")] = 3,
    finalists: Annotated[int, typer.Option(help="best trials that are trained again on fresh seeds")] = 5,
    final_seeds: Annotated[int, typer.Option(help="fresh seeds per finalist, and as many again for the winner")] = 5,
    sampler: Annotated[str, typer.Option(help=" | ".join(SAMPLERS))] = "tpe",
    pruner: Annotated[str, typer.Option(help=" | ".join(PRUNERS))] = "median",
    seed: Annotated[int, typer.Option(help="seed of the sampler")] = 0,
) -> None:
    """Run a study, resume it, or join it from another host: the same command does all three."""
    if trials < 1:
        raise SettingError(f"the number of trials is {trials}; it must be at least 1. Type --trials 50, for example.")
    find("sampler", sampler, SAMPLERS)
    find("pruner", pruner, PRUNERS)
    options = {"algorithm": algorithm, "episodes": episodes}
    option_layer = {key: value for key, value in options.items() if value is not None}
    settings = make_settings(preset_layer(size), *map(assignment_layer, assignments or []), option_layer)
    tunable_parameters(settings, parameters or ())
    check_budget(settings)
    if find_reward(settings.env.reward).is_users:
        raise SettingError(
            f"a study trains with one of the rewards {', '.join(REWARDS)}, since its workers import no code of users; "
            "for a reward of your own, type python -m agents.train with --reward."
        )
    name = checked_name(study or f"{algorithm}-{size}")
    plan = make_plan(
        settings=settings, parameters=tuple(parameters or ()), seeds=seeds, finalists=finalists,
        final_seeds=final_seeds, sampler=sampler, pruner=pruner, seed=seed,
    )  # fmt: skip
    url = checked_storage(storage, name, workers)
    try:
        with LiveView() as view:
            outcome = run_study(url, name, plan, trials, workers, view.begin_stage)
    except KeyboardInterrupt:
        print("finished trials are saved; repeat the command to resume.", file=sys.stderr)
        raise
    stdout_console().print(finalists_table(outcome))
    print("\n".join(provenance_lines(name, outcome)))
    option = f" --storage {storage}" if storage else ""
    print(f"python -m agents.tune show {name}{option}\npython -m agents.tune export {name}{option}")


@app.command()
@handle_errors
def show(
    name: Name,
    storage: Storage = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="HTML page [default: runs/studies/STUDY.html]")
    ] = None,
) -> None:
    """Print the best trials, and write a page with importances, history, parallel coordinates and curves."""
    with open_storage(existing_storage(storage, name)) as study_storage:
        study, lines = find_study(study_storage, name), outcome_lines(study_storage, name)
        page = out or JOURNAL_FOLDER / f"{name}.html"
        make_folder(page.parent)
        write_output(page, study_page(study, lines).encode())
        stdout_console().print(best_trials_table(study))
    print("\n".join([*lines, f"page: {page}"]))


@app.command()
@handle_errors
def export(
    name: Name,
    storage: Storage = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="new file [default: STUDY.yaml]")] = None,
) -> None:
    """Write the winner as a preset for `python -m agents.train ALGORITHM --config FILE`."""
    with open_storage(existing_storage(storage, name)) as study_storage:
        outcome = read_outcome(study_storage, name)
    path = out or Path(f"{name}.yaml")
    check_new_file(path)
    make_folder(path.parent)
    write_output(path, preset_text(name, outcome).encode())
    print(f"python -m agents.train {outcome.plan.settings.algorithm} --config {as_typed(path)}")


@app.command()
@handle_errors
def check(name: Name, workers: Workers = 1, storage: Storage = None) -> None:
    """Train the winner on new seeds: check its predicted score, and compare it with its baselines."""
    url = existing_storage(storage, name)
    check_workers(url, checked_workers(workers))
    with LiveView() as view:
        result = check_winner(url, name, workers, view.begin_stage)
    prediction = result.outcome.prediction
    verdict = f"of which fewer than {MIN_SEEDS_FOR_PREDICTION} final seeds predicted nothing"
    if prediction is not None:
        verdict = f"{'inside' if result.as_predicted else 'OUTSIDE'} the predicted {bounds_text(prediction, '.4f')}"
    print(
        f"{result.winner.label}: test score {result.mean:.4f} on {len(result.winner.test_scores)} new seeds, {verdict}"
    )
    for baseline in result.baselines:
        print(f"more than {baseline.label}: {interval_text(result.gain_over(baseline))}")
    if result.as_predicted is False:
        raise typer.Exit(FAILED)


@app.command()
@handle_errors
def serve(
    storage: Annotated[str, typer.Option(metavar="URL", help="postgresql://…, the database behind the proxy")],
    host: Annotated[str, typer.Option(help="host name or address to listen on")] = "localhost",
    port: Annotated[int, typer.Option(help="port to listen on")] = 13000,
) -> None:
    """Serve a database to hundreds of workers as Optuna's gRPC proxy; workers use --storage grpc://HOST:PORT."""
    if not storage.startswith("postgres"):
        raise SettingError("the proxy serves PostgreSQL only; type --storage postgresql://….")
    with open_storage(complete_url(storage, "")) as database:
        print(f"python -m agents.tune run … --storage grpc://{host}:{port}", file=sys.stderr, flush=True)
        run_grpc_proxy_server(database, host=host, port=port)


def checked_name(name: str) -> str:
    """Check a study's name, which also names files and presets, and return it.

    Raises:
        SettingError: The name is not a valid file name, or ends with the name of a stage.
    """
    make_settings({"name": name})
    if name.rpartition(".")[2] in STAGES:
        raise SettingError(f"{name!r} is reserved for a stage of a study; type --study with another name.")
    return name


def checked_workers(workers: int) -> int:
    """Check the number of workers and return it.

    Raises:
        SettingError: Fewer than one worker.
    """
    if workers < 1:
        raise SettingError(f"the number of workers is {workers}; type --workers 1, or more.")
    return workers


def checked_storage(storage: str | None, name: str, workers: int) -> str:
    """Return the complete URL of a storage that supports this number of workers.

    Raises:
        SettingError: The URL is not a storage, or the storage does not support as many workers.
    """
    url = complete_url(storage, name)
    check_workers(url, checked_workers(workers))
    return url


def existing_storage(storage: str | None, name: str) -> str:
    """Return the complete URL of the storage of an existing study.

    Raises:
        SettingError: No storage was named, and there is no journal of this study.
    """
    if storage is None and not (JOURNAL_FOLDER / f"{name}.journal").is_file():
        raise unknown_name("study", name, sorted(path.stem for path in JOURNAL_FOLDER.glob("*.journal")))
    return complete_url(storage, name)


if __name__ == "__main__":
    app()
