"""Write a trained agent for other programs: `python -m agents.export RUN --format onnx`."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import safetensors.torch
import typer
from numpy.typing import NDArray

from agents.agent import Agent, BoolArray, Memory
from agents.algorithms import build_policy
from agents.checkpoints import fill, own_weights, read_weights
from agents.console import run_command
from agents.onnx_model import OnnxPlayer, check_installed, description, onnx_bytes
from agents.sb3_zip import ZipPlayer, needs_tokentask, zip_bytes
from agents.scores import held_out
from agents.targets import load_runs
from token_env.errors import SettingError, find
from token_env.evaluate import EpisodePolicy, evaluate
from token_env.files import write_bytes
from token_env.observations import Observations

OBSERVATIONS = 1_000  # on which what was written says what the agent says
NEAR = 1e-3  # nats, between tokens of which rounding may choose either


def safetensors_bytes(agent: Agent) -> bytes:
    """Weights in one file, with what a reader needs to know in its metadata."""
    weights = {name: tensor.contiguous() for name, tensor in own_weights(agent.policy).items()}
    content: bytes = safetensors.torch.save(weights, metadata=description(agent))
    return content


def safetensors_player(agent: Agent, content: bytes) -> EpisodePolicy:
    """The weights of such a file in a new policy."""
    policy = build_policy(agent.settings, agent.dynamics)
    fill(policy, read_weights(content, "that were written"), "that were written")
    return Agent(agent.settings, agent.dynamics, policy).greedy


# By format: the ending of the file, what writes it, and who plays it.
FORMATS: dict[str, tuple[str, Callable[[Agent], bytes], Callable[[Agent, bytes], EpisodePolicy]]] = {
    "onnx": (".onnx", onnx_bytes, lambda _, content: OnnxPlayer(content)),
    "sb3": (".zip", zip_bytes, ZipPlayer),
    "safetensors": (".safetensors", safetensors_bytes, safetensors_player),
}


def export(
    run: Annotated[str, typer.Argument(metavar="RUN", help="the directory of a run")],
    form: Annotated[str, typer.Option("--format", help="onnx, sb3 or safetensors")],
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="where it goes [default: RUN with the format's ending]")
    ] = None,
) -> None:
    """Write a trained agent as one file, which says the same tokens as the agent."""
    ending, written, player = find("format", form, FORMATS)
    if form == "onnx":
        check_installed()
    path = Path(f"{run.rstrip('/')}{ending}") if out is None else out
    check_out(path)
    (agent,) = load_runs([run], None, None, 1, "the directory of a run")
    content = written(agent)
    differing, seen = disagreement(agent, player(agent, content))
    if differing:
        raise SettingError(
            f"nothing was written: the {form} file says another token on {differing} of {seen} observations."
        )
    try:
        write_bytes(path, content)
    except OSError as error:
        raise SettingError(f"cannot write {str(path)!r}: {error.strerror}; type --out with another file.") from error
    print(f"{path}: {len(content) / 1e6:,.1f} MB, the agent's tokens on {seen:,} observations")
    if form == "sb3":
        where = "where tokentask is installed" if needs_tokentask(agent) else "without tokentask"
        print(f"Stable-Baselines3 loads it {where}. Such files run code when they are loaded: pass on its origin too.")


def check_out(path: Path) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises:
        SettingError: a directory, or a file in none.
    """
    if path.is_dir() or not path.absolute().parent.is_dir():
        reason = "it is a directory" if path.is_dir() else f"there is no directory {str(path.parent)!r}"
        raise SettingError(f"cannot write {str(path)!r}: {reason}; type --out with a file.")


def disagreement(agent: Agent, other: EpisodePolicy) -> tuple[int, int]:
    """On how many observations another player says something else than the agent, and on how many it was asked."""
    beside = Beside(agent, other)
    task = held_out(agent.task, "test")
    evaluate(beside, range(-(-OBSERVATIONS // task.max_steps)), task=task)
    return beside.differing, beside.seen


class Beside:
    """The agent that plays episodes, with another player that is asked what it would say."""

    def __init__(self, agent: Agent, other: EpisodePolicy) -> None:
        self._agent, self._other = agent, other
        self._memory: Memory | None = None
        self.differing, self.seen = 0, 0

    def act(
        self, observations: Observations, episode_starts: BoolArray, action_masks: Callable[[], BoolArray]
    ) -> NDArray[np.int64]:
        """Tokens to say, [N]; see `token_env.EpisodePolicy`."""
        masks = action_masks() if self._agent.uses_mask else None
        distribution, self._memory = self._agent.distribution(observations, self._memory, episode_starts, masks)
        logits: Any = distribution.distribution.logits.cpu().numpy()
        rows, tokens = np.arange(len(logits)), logits.argmax(axis=1)
        said = self._other.act(observations, episode_starts, action_masks)
        self.differing += int((logits[rows, tokens] - logits[rows, said] > NEAR).sum())
        self.seen += len(rows)
        return np.asarray(tokens, dtype=np.int64)


if __name__ == "__main__":
    run_command(export)
