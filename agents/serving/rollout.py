"""Which models answer which requests, and its changes; the state is in a file and survives a restart."""

import hashlib
import json
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from agents.serving.deployment import Split
from agents.serving.model import Model, read_model
from token_env.errors import SettingError
from token_env.files import write_bytes

MAX_EARLIER = 20  # stages that a rollback can return to
KEPT_MODELS = 4  # models that stay in memory for a rollback


class Stage(BaseModel):
    """Models and split between two changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    a: str  # SHA-256 of model A's file
    b: str | None = None  # SHA-256 of model B's file; None if A answers everything
    share_b: float = 0.0  # share of the requests that B answers
    shadow: bool = False  # whether B answers in the shadow of A

    @property
    def split(self) -> Split:
        """How the requests are shared."""
        return Split(self.share_b, self.shadow)


class Change(BaseModel):
    """Body of POST /v1/rollout: one change."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    action: Literal["share", "shadow", "promote", "rollback", "load"] = Field(
        description="share: B answers `share_b` of the requests. shadow: B answers all, is logged and never returned. "
        "promote: B becomes A. rollback: undo the last change. load: `model` becomes B, without requests until `share`."
    )
    share_b: float | None = Field(None, ge=0, le=1, description="share of the requests for B, with action share")
    model: str | None = Field(
        None, pattern="^[0-9a-f]{64}$", description="SHA-256 of a file in the folder of models, with action load"
    )


class Rollout(BaseModel):
    """Content of the state file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    command: Stage  # what the command line said at the first start; another command line starts anew
    current: Stage
    earlier: tuple[Stage, ...] = ()  # stages that a rollback returns to, the latest last
    period: int = 1  # number of the current stage, and of its log

    def after(self, change: Change) -> "Rollout":
        """Return the state after a change.

        Raises:
            SettingError: The change does not fit the state.
        """
        if (change.share_b is not None) != (change.action == "share"):
            raise SettingError("share_b belongs to the action share, which needs it.")
        if (change.model is not None) != (change.action == "load"):
            raise SettingError("model belongs to the action load, which needs it.")
        if change.action == "rollback":
            if not self.earlier:
                raise SettingError("there is nothing to roll back: this is the first stage.")
            return self._replaced(self.earlier[-1], self.earlier[:-1])
        return self._replaced(self._next_stage(change), (*self.earlier, self.current)[-MAX_EARLIER:])

    def _next_stage(self, change: Change) -> Stage:
        current = self.current
        if change.action == "load":
            return Stage(a=current.a, b=change.model)
        if current.b is None:
            raise SettingError(f"there is no model B to {change.action}; load one first.")
        if change.action == "promote":
            return Stage(a=current.b)
        if change.action == "shadow":
            return Stage(a=current.a, b=current.b, shadow=True)
        return Stage(a=current.a, b=current.b, share_b=change.share_b or 0.0)

    def _replaced(self, current: Stage, earlier: tuple[Stage, ...]) -> "Rollout":
        return self.model_copy(update={"current": current, "earlier": earlier, "period": self.period + 1})


class Folder(NamedTuple):
    """Directory with the state, the logs and the models that can be loaded."""

    path: Path

    @property
    def state(self) -> Path:
        """File of the state."""
        return self.path / "state.json"

    @property
    def models(self) -> Path:
        """Directory of the models that can be loaded."""
        return self.path / "models"

    def log(self, kind: str, period: int) -> Path:
        """Return the log of a period; the kind is "decisions" or "shadow"."""
        return self.path / f"{kind}-{period:04}.jsonl"

    def make(self) -> None:
        """Make the directories.

        Raises:
            SettingError: They cannot be made.
        """
        try:
            self.models.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(f"cannot make {str(self.models)!r}: {error.strerror}; type --folder DIR.") from error

    def resume(self, command: Stage) -> Rollout:
        """Return the stored state if it began with the same command line, else the first stage of a new one.

        Raises:
            SettingError: The state cannot be read, or is damaged.
        """
        try:
            content = self.state.read_bytes()
        except FileNotFoundError:
            return Rollout(command=command, current=command)
        except OSError as error:
            raise SettingError(f"cannot read {str(self.state)!r}: {error.strerror}.") from error
        try:
            stored = Rollout.model_validate(json.loads(content))
        except (ValidationError, ValueError) as error:
            raise SettingError(f"{str(self.state)!r} is damaged; remove it to start anew.") from error
        if stored.command == command:
            return stored
        return Rollout(command=command, current=command, period=stored.period + 1)

    def save(self, rollout: Rollout) -> None:
        """Store the state.

        Raises:
            OSError: It cannot be written.
        """
        write_bytes(self.state, rollout.model_dump_json(indent=2).encode() + b"\n")


class ModelStore:
    """The models that may be used, by the SHA-256 of their files: those of the command line and those in a folder.

    Args:
        files: Files of the command line.
        folder: Directory of further models.
    """

    def __init__(self, files: list[Path], folder: Path) -> None:
        self._files, self._folder = files, folder
        self._models: dict[str, Model] = {}

    def read(self, path: Path) -> Model:
        """Read a model from its file.

        Raises:
            SettingError: The file cannot be read, or is not a model.
        """
        return self._kept(read_model(path))

    def find(self, checksum: str) -> Model:
        """Return the model whose file has this SHA-256.

        Raises:
            SettingError: No file has it.
        """
        if checksum in self._models:
            return self._kept(self._models[checksum])
        for path in [*self._files, *sorted(self._folder.glob("*.onnx"))]:
            if path.is_file() and _checksum(path) == checksum:
                model = read_model(path)
                if model.checksum == checksum:  # the file may have changed meanwhile
                    return self._kept(model)
        raise SettingError(f"no model in {str(self._folder)!r} has the SHA-256 {checksum}.")

    def _kept(self, model: Model) -> Model:
        self._models.pop(model.checksum, None)
        self._models[model.checksum] = model
        for oldest in list(self._models)[:-KEPT_MODELS]:
            del self._models[oldest]
        return model


def _checksum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
