"""Write episodes as a Minari dataset, for imitation learning and offline reinforcement learning."""

import dataclasses
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gymnasium
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from token_env.episodes.evaluate import Evaluation, Policy, evaluation_of, joined, started_batches, steps
from token_env.episodes.references import ReferencePolicy
from token_env.errors import SettingError
from token_env.files import new_folder
from token_env.optimum.cache import score
from token_env.rules.dynamics import Dynamics
from token_env.rules.observations import Observations
from token_env.rules.task import Task

if TYPE_CHECKING:
    from minari.data_collector import EpisodeBuffer
    from minari.dataset.minari_storage import MinariStorage

DATA = "data"  # folder of a Minari dataset that holds its files
OVERHEAD = 16_384  # bytes that HDF5 needs for an episode, beyond twice its numbers


class Recording(NamedTuple):
    """What N episodes of L steps showed and paid, and their results."""

    observations: Observations  # [N, L + 1, D]
    rewards: NDArray[np.float64]  # [N, L]
    evaluation: Evaluation


def write_episodes(
    policy: Policy | ReferencePolicy,
    problem_ids: Iterable[int],
    folder: str | Path,
    *,
    task: Task | None = None,
    seed: int = 0,
    algorithm: str = "",
) -> Evaluation:
    """Play the policy once on every problem, and write the episodes as a new Minari dataset.

    The folder appears when it is complete. `minari.MinariDataset(f"{folder}/data")` reads it.

    Args:
        policy: Policy as for `token_env.evaluate`.
        problem_ids: Problem ids of the task's split; one episode each, in this order.
        folder: Folder to create; its name is the dataset's id, with "-v0" unless it ends with a version.
        task: The constants; the default task if None. Language and reward must be names.
        seed: Seed of the generator for reference policies.
        algorithm: Name of the policy, for the dataset's description; by default that of a reference policy.

    Returns:
        Results of the episodes, with their optima.

    Raises:
        SettingError: Minari is not installed, the folder exists or cannot be written, the disk is too full, an id is
            outside the split, or the task has a language or reward without a name.
    """
    folder, task = Path(folder), task or Task()
    check_minari()
    check_absent(folder)
    spec = environment_spec(task)
    dynamics = Dynamics(dataclasses.replace(task, optimum=True))
    ids = dynamics.problems.validate_ids(list(problem_ids))
    recordings = _record(policy, dynamics, ids, np.random.default_rng(seed))
    algorithm = algorithm or getattr(policy, "name", "")
    parts, size = [], episode_bytes(task)
    try:
        with new_folder(folder.absolute()) as temporary:  # Minari measures no relative folder
            _check_space(temporary, size * len(ids))
            storage = _new_storage(temporary / DATA, spec, folder.name, algorithm)
            for recording in recordings:
                _append(storage, recording)
                parts.append(recording.evaluation)
                _check_space(temporary, size * (len(ids) - storage.total_episodes))
    except OSError as error:
        reason = error.strerror or str(error)
        raise SettingError(f"cannot write {str(folder)!r}: {reason}; type another folder.") from error
    return joined(parts)


def summary(results: Evaluation, folder: Path) -> str:
    """Return a line for commands about the episodes that `write_episodes` wrote, and how to read them."""
    episodes, length = results.actions.shape
    return (
        f"{folder}: {episodes:,} episodes of {length} steps, mean return {results.mean_return:+.2f}, "
        f"score {results.score:.3f}; read them with minari.MinariDataset({str(folder / DATA)!r})"
    )


def check_minari() -> None:
    """Check that Minari and h5py are installed.

    Raises:
        SettingError: They are not.
    """
    if not (find_spec("minari") and find_spec("h5py")):
        raise SettingError("datasets need Minari and h5py; type pip install -c constraints.txt '.[minari]'.")


def check_absent(folder: Path) -> None:
    """Reject a folder that exists.

    Raises:
        SettingError: It does.
    """
    if folder.exists() or folder.is_symlink():
        raise SettingError(f"{str(folder)!r} exists already; type a new folder, or delete this one.")


def environment_spec(task: Task) -> EnvSpec:
    """Return Gymnasium's specification of TokenTask-v0 with all constants of a task.

    Raises:
        SettingError: The language or the reward is an object without a name, which no file can hold.
    """
    keywords = {field.name: getattr(task, field.name) for field in dataclasses.fields(task)}
    for name, allowed in (("language", "'synthetic', 'english' or 'text:PATH'"), ("reward", "'MODULE:FUNCTION'")):
        if not isinstance(keywords[name], str):
            raise SettingError(f"a dataset names the {name} of its task, and this one has no name; type {allowed}.")
    return dataclasses.replace(gymnasium.spec("TokenTask-v0"), kwargs=keywords)


def _record(
    policy: Policy | ReferencePolicy, dynamics: Dynamics, ids: NDArray[np.int64], generator: np.random.Generator
) -> Iterator[Recording]:
    """Play these problems, [N], in batches; yield what each batch showed and paid."""
    for batch in started_batches(dynamics, ids):
        first = batch.observe()
        observations = np.empty((batch.num_rows, dynamics.task.max_steps + 1, *first.shape[1:]), first.dtype)
        rewards = np.empty((batch.num_rows, dynamics.task.max_steps))
        observations[:, 0] = first
        for step, transition in enumerate(steps(policy, batch, generator)):
            rewards[:, step] = dynamics.rewards(transition)
            observations[:, step + 1] = batch.observe()
        yield Recording(observations, rewards, evaluation_of(batch))


def _new_storage(data: Path, spec: EnvSpec, name: str, algorithm: str) -> "MinariStorage":
    """Create a dataset without episodes.

    Args:
        data: Folder of its files.
        spec: Environment of the episodes.
        name: Name of the dataset's folder.
        algorithm: Name of the policy.
    """
    import minari
    from minari.dataset.minari_storage import MinariStorage

    storage = MinariStorage.new(data, env_spec=spec, data_format="hdf5")
    name = re.sub(r"[^-\w]", "-", name)
    storage.update_metadata(
        {
            "dataset_id": name if re.search(r"-v\d+$", name) else f"{name}-v0",
            "minari_version": minari.__version__,
            "algorithm_name": algorithm,
        }
    )
    return storage


def _append(storage: "MinariStorage", recording: Recording) -> None:
    first, results = storage.total_episodes, recording.evaluation
    returns, optima = results.returns, results.optimal_returns
    columns = {"return": returns, "optimal_return": optima, "score": score(returns, optima)}
    storage.update_episodes(_buffers(recording))
    storage.update_episode_metadata(
        [{name: float(column[row]) for name, column in columns.items()} for row in range(len(returns))],
        range(first, first + len(returns)),
    )


def _buffers(recording: Recording) -> "Iterator[EpisodeBuffer]":
    from minari.data_collector import EpisodeBuffer

    results = recording.evaluation
    terminations = np.zeros(recording.rewards.shape[1], dtype=np.bool_)
    truncations = terminations.copy()
    terminations[-1] = True
    for row, problem_id in enumerate(results.problem_ids.tolist()):
        fields: dict[str, Any] = {  # arrays, where Minari's types name lists
            "observations": recording.observations[row],
            "actions": results.actions[row],
            "rewards": recording.rewards[row],
            "terminations": terminations,
            "truncations": truncations,
        }
        yield EpisodeBuffer(options={"problem_id": problem_id}, infos={}, **fields)


def episode_bytes(task: Task) -> int:
    """Return an upper bound of the disk space of one episode."""
    low, _ = Dynamics(task).observation_bounds
    step = low.nbytes + 2 * np.dtype(np.float64).itemsize + 2  # observation, action and reward, two flags
    return 2 * step * (task.max_steps + 1) + OVERHEAD


def _check_space(folder: Path, needed: int) -> None:
    """Reject a disk with less space than this number of bytes; HDF5 itself crashes when a disk is full.

    Raises:
        OSError: There is less space.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise OSError(f"{needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free")
