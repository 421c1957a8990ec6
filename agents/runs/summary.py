"""Define what `run.json` and `summary.json` hold: the one type that every writer and reader of each uses."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from agents.evaluation.scores import Scores
from agents.runs import run_dir
from agents.runs.json_files import read_json, write_json
from agents.settings.schema import Frozen
from token_env.errors import SettingError


class JsonFile(Frozen):
    """A JSON file of a run. Keys that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the file.

        Raises:
            SettingError: it is missing, no JSON, or lacks something.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise SettingError(f"{str(path)!r} is damaged: {place}: {first['msg']}.") from error

    def write(self, path: Path) -> None:
        """Write the whole file, or nothing; fields that were never set are left out.

        Raises:
            OSError: it cannot be written.
        """
        write_json(path, self.model_dump(mode="json", by_alias=True, exclude_unset=True))


class Machine(Frozen):
    """The machine that a run was trained on."""

    host: str
    system: str
    processor: str
    cores: int | None
    device: str
    device_reason: str = ""  # why this device; empty in rows from before it was recorded


class TrainingCost(Frozen):
    """The time and memory that a training took."""

    seconds: float = Field(gt=0)  # wall clock
    cpu_seconds: float  # processor time of all threads
    threads: int
    peak_memory_mb: float  # 10⁶ bytes, resident, of the whole process
    device_memory_mb: float | None
    device_use_percent: float | None


class RunRecord(JsonFile):
    """`run.json`: command, versions and machine of a run, written when it starts."""

    command: list[str]
    started: str  # ISO 8601, local time
    revision: str | None  # of this code, in git
    versions: dict[str, str]  # by distribution
    machine: Machine
    threads: int
    products: dict[str, Any]  # how matrices are multiplied: the fields of `Products`
    origin: dict[str, Any] = Field(default_factory=dict, alias="from")  # of a run that started from another's weights
    resumed: tuple[dict[str, Any], ...] = ()  # a record for every time that the run was resumed


class ValidationScore(Frozen):
    """One validation in the course of a training."""

    episodes: int  # played before it
    mean_return: float


class Summary(JsonFile):
    """`summary.json`: the figures of a run, written last."""

    algorithm: str
    name: str  # of the settings
    seed: int
    device: str
    episodes: int
    steps: int
    training_seconds: float  # wall clock
    cpu_seconds: float  # processor time of all threads
    steps_per_second: float
    mean_last_100: float | None  # return; None before the first episode
    max_return: float | None
    distinct_tokens_last_100: int
    device_memory_mb: float | None
    device_use_percent: float | None
    peak_memory_mb: float
    best: ValidationScore | None  # None if the run was never validated
    validations: tuple[ValidationScore, ...] = ()
    status: Literal["finished", "interrupted"]
    evaluation: dict[str, Scores] = Field(
        default_factory=dict
    )  # on held-out problems, by policy; empty after an interruption
    training_problems: Scores | None = None  # the agent, greedy, on the problems that it played last in training
    full_difficulty_from: int | None = None  # with a curriculum: the first episode at full difficulty

    def cost(self, threads: int) -> TrainingCost:
        """Time and memory of the training, which ran on this many threads."""
        return TrainingCost(
            seconds=self.training_seconds,
            cpu_seconds=self.cpu_seconds,
            threads=threads,
            peak_memory_mb=self.peak_memory_mb,
            device_memory_mb=self.device_memory_mb,
            device_use_percent=self.device_use_percent,
        )


def read_record(run: Path) -> RunRecord:
    """Read the `run.json` of a run.

    Raises:
        SettingError: it is missing or damaged.
    """
    return RunRecord.read(run / run_dir.RUN)
