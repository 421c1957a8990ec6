"""Train an agent: `python -m agents.train ppo --size stable`; or go on with one: `--resume RUN`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from agents.algorithms.table import ALGORITHMS
from agents.cli.console import BY_SIGNAL, run_command, stdout_console
from agents.cli.printing import print_run
from agents.settings.layers import DEFAULT_SIZE, assignment_layer, make_settings, preset_layer, read_layer
from agents.training.fit import fit, resume_command
from agents.training.resume import resume
from token_env.errors import SettingError


def train(
    algorithm: Annotated[str | None, typer.Argument(help=" | ".join(ALGORITHMS))] = None,
    size: Annotated[str | None, typer.Option(help="tiny, fast, intermediate or stable [default: fast]")] = None,
    config: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="settings from a YAML file, or a shipped preset such as reported/fast; with --size, over that preset",
        ),
    ] = None,
    assignments: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="change one setting: ppo.learning_rate=1e-4; repeatable"),
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="episodes to play, exactly")] = None,
    seed: Annotated[int | None, typer.Option(help="of every random number in the run [default: 0]")] = None,
    device: Annotated[str | None, typer.Option(help="auto (mps, then cuda, then cpu), mps, cuda or cpu")] = None,
    precision: Annotated[
        str | None, typer.Option(help="of matrix products: float32 or bf16 [default: float32]")
    ] = None,
    language: Annotated[str | None, typer.Option(help="synthetic, english, or text:PATH of a text to fit")] = None,
    from_run: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="start from the weights of this run, of the same size or a smaller"),
    ] = None,
    curriculum: Annotated[
        bool, typer.Option("--curriculum", help="begin with easier problems, harder ones as returns rise")
    ] = False,
    resume_run: Annotated[
        Path | None,
        typer.Option("--resume", metavar="RUN", help="go on with this run where its last checkpoint is, bit for bit"),
    ] = None,
    allow_change: Annotated[
        bool, typer.Option("--allow-change", help="with --resume: go on although settings have changed")
    ] = False,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="directory of the run; must not exist")] = None,
    progress: Annotated[bool, typer.Option("--progress/--no-progress", help="show how it is getting on")] = True,
) -> None:
    """Train an agent on TokenTask and evaluate it on held-out problems."""
    check_ways(algorithm, resume_run, allow_change, out)
    chosen = [] if size is None and (config or resume_run) else [preset_layer(DEFAULT_SIZE if size is None else size)]
    chosen += [read_layer(config)] if config else []
    chosen += [assignment_layer(assignment) for assignment in assignments or []]
    named = {"algorithm": algorithm, "episodes": episodes, "seed": seed, "device": device}
    named |= {"precision": precision, "from_run": from_run}
    chosen.append({key: value for key, value in named.items() if value is not None})
    chosen += [{"env": {"language": language}}] if language else []
    chosen += [{"curriculum": {"enabled": True}}] if curriculum else []
    if resume_run:
        result = resume(resume_run, *chosen, allow_change=allow_change, progress=progress)
    else:
        result = fit(make_settings(*chosen), out, progress)
    if result.interrupted:
        print(
            f"interrupted after {result.summary.episodes} episodes; to go on, type\n{resume_command(result.run)}\n"
            f"To evaluate what there is, type\npython -m agents.evaluate {result.run}",
            file=sys.stderr,
        )
        raise typer.Exit(BY_SIGNAL + result.interrupted)
    print_run(stdout_console(), result.run, result.agent, result.summary)


def check_ways(algorithm: str | None, resumed: Path | None, allow_change: bool, out: Path | None) -> None:
    """Refuse what does not say which run is meant.

    Raises:
        SettingError: neither an algorithm nor a run to go on with, or options that go with the other only.
    """
    if algorithm is None and resumed is None:
        raise SettingError(
            f"type an algorithm ({', '.join(ALGORITHMS)}), or --resume with a run; --help tells all options."
        )
    if resumed and out:
        raise SettingError("--resume goes on in the directory of its run; leave out --out.")
    if allow_change and not resumed:
        raise SettingError("--allow-change goes with --resume RUN.")


if __name__ == "__main__":
    run_command(train)
