"""Read the log of two deployed models: one JSON line per request, as `agents/serving` writes it."""

from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from token_env.errors import SettingError


class Decision(BaseModel):
    """Required fields of a line; further fields are ignored, and numbers must be finite."""

    model_config = ConfigDict(strict=True, allow_inf_nan=False)

    request: str  # id of the request
    variant: Literal["A", "B"]  # model that answered
    share_b: Annotated[float, Field(ge=0, le=1)]  # share of requests promised to B
    model: str  # SHA-256 of the model's file
    earned: Annotated[float, Field(alias="return")]  # return of the answer
    latency_ms: Annotated[float, Field(ge=0)]  # from request to answer


class VariantLog(NamedTuple):
    """Requests answered by one of the two models."""

    model: str  # SHA-256 of its file; empty if it answered no request
    returns: NDArray[np.float64]  # [n]
    latencies: NDArray[np.float64]  # [n] milliseconds


class DeploymentLog(NamedTuple):
    """Valid decisions of a log, and the numbers of skipped lines."""

    share_b: float  # share of requests promised to B
    a: VariantLog
    b: VariantLog
    truncated: bool  # whether the last line is incomplete
    invalid: int  # lines that are no decisions
    repeated: int  # lines for a request that an earlier line answers

    @property
    def skipped_lines(self) -> str:
        """Sentence that counts the skipped lines; empty if none was skipped."""
        parts = ["the last line, which has no end"] if self.truncated else []
        for count, description in (
            (self.invalid, "that is no decision" if self.invalid == 1 else "that are no decisions"),
            (self.repeated, "about a request that was answered before"),
        ):
            if count:
                parts.append(f"{count:,} line{'s' * (count > 1)} {description}")
        return f"left out: {'; '.join(parts)}" if parts else ""


def read_log(path: Path) -> DeploymentLog:
    """Read the decisions of a log; skip and count invalid lines and repeated lines for one request.

    Raises:
        SettingError: The file is unreadable, or holds no decision, several shares, or several models of one variant.
    """
    try:
        *lines, remainder = path.read_bytes().split(b"\n")
    except OSError as error:
        raise SettingError(f"cannot read {str(path)!r}: {error.strerror}; type --log with a file.") from error
    decisions = [decision for line in lines if (decision := _parse_decision(line))]
    if not decisions:
        reason = f"none of its {len(lines):,} whole lines is a decision" if lines or remainder else "it is empty"
        raise SettingError(f"{str(path)!r} gives no verdict: {reason}; type --log with the log of a deployment.")
    by_request: dict[str, Decision] = {}
    for decision in decisions:
        by_request.setdefault(decision.request, decision)
    unique = list(by_request.values())
    shares = {decision.share_b for decision in unique}
    if len(shares) > 1:
        raise SettingError(
            f"{str(path)!r} holds decisions with {min(shares):g} and with {max(shares):g} promised to B; such a "
            "mixture compares periods, not models: give each share a log of its own."
        )
    a, b = (_variant_log(path, name, [decision for decision in unique if decision.variant == name]) for name in "AB")
    return DeploymentLog(shares.pop(), a, b, bool(remainder), len(lines) - len(decisions), len(decisions) - len(unique))


def _parse_decision(line: bytes) -> Decision | None:
    try:
        return Decision.model_validate_json(line)
    except ValidationError:
        return None


def _variant_log(path: Path, name: str, decisions: list[Decision]) -> VariantLog:
    models = sorted({decision.model for decision in decisions})
    if len(models) > 1:
        raise SettingError(
            f"{str(path)!r} holds {len(models)} models as {name} ({', '.join(model[:12] for model in models)}); "
            "give each pair of models a log of its own."
        )
    returns, latencies = (
        np.array(values, dtype=np.float64)
        for values in ([decision.earned for decision in decisions], [decision.latency_ms for decision in decisions])
    )
    return VariantLog("".join(models), returns, latencies)
