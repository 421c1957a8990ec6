"""Define the types of `run.json` and `summary.json`, which all writers and readers share."""

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, ValidationError

from agents.evaluation.scores import Scores
from agents.runs import run_dir
from agents.runs.json_files import read_json, write_json
from agents.settings.schema import Frozen, Settings
from token_env.errors import SettingError


class JsonFile(Frozen):
    """Base class of the JSON files of a run. Unknown keys are preserved."""

    model_config = ConfigDict(extra="allow")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read and validate the file.

        Raises:
            SettingError: The file is missing, not JSON, or lacks a field.
        """
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            raise SettingError(f"{str(path)!r} is damaged: {place}: {first['msg']}.") from error

    def write(self, path: Path) -> None:
        """Write the file atomically, without the fields that were never set.

        Raises:
            OSError: The file cannot be written.
        """
        write_json(path, self.model_dump(mode="json", by_alias=True, exclude_unset=True))


class Machine(Frozen):
    """The machine that a run was trained on."""

    host: str
    system: str
    processor: str  # model name, which may stand for several models: a virtual machine says "AMD EPYC" of all
    cores: int | None
    device: str
    device_reason: str = ""  # reason for choosing the device; empty in older results
    # The fields of `agents.machine.processor.Processor`; None if unknown, and in older results.
    vendor: str | None = None
    family: int | None = None
    model: int | None = None
    instruction_sets: tuple[str, ...] | None = None
    torch_kernels: str | None = None

    @property
    def description(self) -> str:
        """What distinguishes this machine, as text: `AMD EPYC (AuthenticAMD family 25 model 1, AVX2, 2 cores, cpu)`."""
        numbers = [f"family {self.family}"] if self.family is not None else ["family not recorded"]
        numbers += [f"model {self.model}"] if self.model is not None else []
        kind = " ".join([*([self.vendor] if self.vendor else []), *numbers])
        kernels = [self.torch_kernels] if self.torch_kernels else []
        return f"{self.processor} ({', '.join([kind, *kernels, f'{self.cores} cores', self.device])})"


class TrainingCost(Frozen):
    """The time and memory that a training took."""

    seconds: float = Field(gt=0)  # wall clock
    cpu_seconds: float  # CPU time of all threads
    threads: int
    peak_memory_mb: float  # peak resident memory of the process, in 10⁶ bytes
    device_memory_mb: float | None
    device_use_percent: float | None
    # Load average of the machine over one minute: processes that run or wait. None if unknown, and in older results.
    load_at_start: float | None = None
    load_at_end: float | None = None


class RunRecord(JsonFile):
    """The content of `run.json`: command, versions and machine of a run, written when it starts."""

    command: list[str]
    started: str  # ISO 8601, local time
    revision: str | None  # git revision of this code
    versions: dict[str, str]  # version by distribution name
    machine: Machine
    threads: int
    load: float | None = None  # load average of the machine over one minute, before the training; None in older runs
    products: dict[str, Any]  # matrix multiplication settings: the fields of `Products`
    origin: dict[str, Any] = Field(default_factory=dict, alias="from")  # run that the initial weights came from, if any
    resumed: tuple[dict[str, Any], ...] = ()  # one record per resumption


class ValidationScore(Frozen):
    """The result of one validation during training."""

    episodes: int  # number of episodes played before the validation
    mean_return: float


class Summary(JsonFile):
    """The content of `summary.json`: the results of a run, written last."""

    algorithm: str
    name: str  # name of the settings
    seed: int
    device: str
    episodes: int
    steps: int
    training_seconds: float  # wall clock
    cpu_seconds: float  # CPU time of all threads
    steps_per_second: float
    mean_last_100: float | None  # mean return of the last 100 episodes; None without episodes
    max_return: float | None
    distinct_tokens_last_100: int
    device_memory_mb: float | None
    device_use_percent: float | None
    peak_memory_mb: float
    load_at_end: float | None = None  # load average of the machine over one minute, after the training
    best: ValidationScore | None  # None if the run was never validated
    validations: tuple[ValidationScore, ...] = ()
    status: Literal["finished", "interrupted", "diverged"]  # "diverged" is never written: such a run can be resumed
    # Scores on held-out problems, by policy; empty after an interruption.
    evaluation: dict[str, Scores] = Field(default_factory=dict)
    training_problems: Scores | None = None  # scores of the greedy agent on the last problems of the training
    full_difficulty_from: int | None = None  # first episode at full difficulty; only with a curriculum

    def cost(self, record: RunRecord) -> TrainingCost:
        """Return the time and memory of the training, which began with this record."""
        return TrainingCost(
            seconds=self.training_seconds,
            cpu_seconds=self.cpu_seconds,
            threads=record.threads,
            peak_memory_mb=self.peak_memory_mb,
            device_memory_mb=self.device_memory_mb,
            device_use_percent=self.device_use_percent,
            load_at_start=record.load,
            load_at_end=self.load_at_end,
        )


def read_record(run: Path) -> RunRecord:
    """Read the `run.json` of a run.

    Raises:
        SettingError: The file is missing or damaged.
    """
    return RunRecord.read(run / run_dir.RUN)


def training_budget(run: Path, settings: Settings) -> str:
    """Describe how long the agent of a run was trained: its episodes, or the planned ones if no summary tells."""
    try:
        episodes = Summary.read(run / run_dir.SUMMARY).episodes
    except SettingError:
        episodes = settings.episodes
    origin = f" from the weights of {settings.from_run}" if settings.from_run else ""
    return f"{episodes:,} episodes ({episodes * settings.env.max_steps:,} steps){origin}"
