"""Read the log of two deployed models: one line of JSON a request, as `examples/ab_deployment.py` writes it."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from token_env.errors import SettingError


class Decision(BaseModel):
    """What a line must tell, and may tell more than; numbers are finite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    request: str  # its id
    variant: Literal["A", "B"]  # who answered
    share_b: Annotated[float, Field(ge=0, le=1)]  # the share of requests that was promised to B
    model: str  # SHA-256 of the file of the model that answered
    earned: Annotated[float, Field(alias="return")]  # of the answer
    latency_ms: Annotated[float, Field(ge=0)]  # from the request to the answer


class Variant(NamedTuple):
    """What one of the two models did."""

    model: str  # its checksum; empty where it answered nothing
    returns: NDArray[np.float64]  # [n]
    latencies: NDArray[np.float64]  # [n] milliseconds


class Log(NamedTuple):
    """The decisions of a log that can be used, and how many lines cannot."""

    share_b: float
    a: Variant
    b: Variant
    torn: bool  # whether the last line has no end
    foreign: int  # lines that are no decisions
    repeated: int  # lines about a request that an earlier line answers

    @property
    def left_out(self) -> str:
        """Which lines were left out; empty if none was."""
        told = ["the last line, which has no end"] if self.torn else []
        for count, what in (
            (self.foreign, "that is no decision" if self.foreign == 1 else "that are no decisions"),
            (self.repeated, "about a request that was answered before"),
        ):
            if count:
                told.append(f"{count:,} line{'s' * (count > 1)} {what}")
        return f"left out: {'; '.join(told)}" if told else ""


def read_log(path: Path) -> Log:
    """The decisions of a log. Lines that are none are counted and left out, and so are further ones about one request.

    Raises:
        SettingError: a file that cannot be read or holds no decision, several shares, or several models of one variant.
    """
    try:
        *lines, rest = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; type --log with a file.") from error
    read = [decision for line in lines if (decision := _decision(line))]
    if not read:
        found = f"none of its {len(lines):,} whole lines is a decision" if lines or rest else "it is empty"
        raise SettingError(f"{str(path)!r} gives no verdict: {found}; type --log with what a deployment wrote.")
    first: dict[str, Decision] = {}
    for decision in read:
        first.setdefault(decision.request, decision)
    used = list(first.values())
    shares = {decision.share_b for decision in used}
    if len(shares) > 1:
        raise SettingError(
            f"{str(path)!r} holds decisions with {min(shares):g} and with {max(shares):g} promised to B; the mixture "
            "compares times, not models: give each share a log of its own."
        )
    a, b = (_variant(path, name, [decision for decision in used if decision.variant == name]) for name in "AB")
    return Log(shares.pop(), a, b, bool(rest), len(lines) - len(read), len(read) - len(used))


def _decision(line: bytes) -> Decision | None:
    try:
        return Decision.model_validate_json(line)
    except ValidationError:
        return None


def _variant(path: Path, name: str, decisions: list[Decision]) -> Variant:
    models = sorted({decision.model for decision in decisions})
    if len(models) > 1:
        raise SettingError(
            f"{str(path)!r} holds {len(models)} models as {name} ({', '.join(model[:12] for model in models)}); "
            "give each pair of models a log of its own."
        )
    returns, latencies = (
        np.array(values, dtype=np.float64)
        for values in ([one.earned for one in decisions], [one.latency_ms for one in decisions])
    )
    return Variant("".join(models), returns, latencies)
