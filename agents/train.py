"""Train an agent: `python -m agents.train ppo --size stable`; or continue an interrupted run: `--resume RUN`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agents.algorithms.table import ALGORITHMS
from agents.cli.console import SIGNAL_EXIT_OFFSET, run_command, stdout_console
from agents.cli.printing import print_run
from agents.runs.run_dir import as_typed
from agents.settings.layers import DEFAULT_SIZE, assignment_layer, make_settings, preset_layer, read_layer
from agents.training.fit import fit, resume_command
from agents.training.resume import resume
from token_env.errors import SettingError
from token_env.rules.rewards import REWARDS, find_reward, import_reward


def train(
    algorithm: Annotated[str | None, typer.Argument(help=" | ".join(ALGORITHMS))] = None,
    size: Annotated[
        str | None,
        typer.Option(
            help="preset to start from: tiny, fast, intermediate or stable [default: fast; none with --config]"
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="YAML file with settings, or a shipped preset such as reported/fast; what it leaves out "
            "has the values of --size, or, without --size, Stable-Baselines3's defaults",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="change one setting, such as ppo.learning_rate=1e-4; repeatable"
        ),
    ] = None,
    episodes: Annotated[
        int | None, typer.Option(help="exact number of training episodes [default: the preset's or file's, or 2000]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="seed of all random numbers in the run [default: 0]")] = None,
    device: Annotated[
        str | None, typer.Option(help="device: mps, cuda, cpu or auto (the first of these that works)")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="precision of matrix products: float32 or bf16 [default: float32]")
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(help="language of the task: synthetic, english, or text:PATH to fit one to a text file"),
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"reward of the training: {', '.join(REWARDS)}, or MODULE:FUNCTION, your own, which this command "
            "imports and runs",
        ),
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="start from the weights of a run of the same size or a smaller one"),
    ] = None,
    curriculum: Annotated[
        bool, typer.Option("--curriculum", help="start with easier problems and make them harder as returns rise")
    ] = False,
    resume_run: Annotated[
        Path | None,
        typer.Option(
            "--resume", metavar="RUN", help="continue this run from its last checkpoint, with bit-identical results"
        ),
    ] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="with --resume: continue with changed settings")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="new directory for the run")] = None,
    progress: Annotated[
        bool, typer.Option("--progress/--no-progress", help="show the progress of the training")
    ] = True,
) -> None:
    """Train an agent on TokenTask: get a run directory with weights, metrics and scores on held-out problems."""
    check_options(algorithm, resume_run, allow_change, out)
    layers = [] if size is None and (config or resume_run) else [preset_layer(DEFAULT_SIZE if size is None else size)]
    layers += [read_layer(config)] if config else []
    layers += [assignment_layer(assignment) for assignment in assignments or []]
    options = {"algorithm": algorithm, "episodes": episodes, "seed": seed, "device": device}
    options |= {"precision": precision, "from_run": from_run}
    layers.append({key: value for key, value in options.items() if value is not None})
    layers += [{"env": {"language": language}}] if language else []
    layers += [{"env": {"reward": reward}}] if reward else []
    layers += [{"curriculum": {"enabled": True}}] if curriculum else []
    if reward and find_reward(reward).is_users:
        import_reward(reward)
    if resume_run:
        result = resume(resume_run, *layers, allow_change=allow_change, progress=progress)
    else:
        settings = make_settings(*layers)
        if config and progress:
            base = f"the preset {size}" if size else "Stable-Baselines3's defaults (--size SIZE: those of a preset)"
            print(f"settings: {config} and options, over {base}", file=sys.stderr)
        result = fit(settings, out, progress)
    if result.interrupted:
        print(
            f"interrupted after {result.summary.episodes} episodes; to continue, type\n"
            f"{resume_command(result.run, result.agent.settings)}\n"
            f"To evaluate the last checkpoint, type\npython -m agents.evaluate {as_typed(result.run)}",
            file=sys.stderr,
        )
        raise typer.Exit(SIGNAL_EXIT_OFFSET + result.interrupted)
    print_run(stdout_console(), result.run, result.agent, result.summary)


def check_options(algorithm: str | None, resume_run: Path | None, allow_change: bool, out: Path | None) -> None:
    """Reject ambiguous combinations of options.

    Raises:
        SettingError: Neither an algorithm nor --resume is present, or an option does not apply to the command's mode.
    """
    if algorithm is None and resume_run is None:
        raise SettingError(
            f"type an algorithm ({', '.join(ALGORITHMS)}), or --resume with a run; --help lists all options."
        )
    if resume_run and out:
        raise SettingError("--resume continues in the directory of its run; leave out --out.")
    if allow_change and not resume_run:
        raise SettingError("--allow-change goes with --resume RUN.")


if __name__ == "__main__":
    run_command(train)
