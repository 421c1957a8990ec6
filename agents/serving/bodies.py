"""Define the bodies of requests and answers."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from token_env.rules.problems import ENDLESS

Number = Annotated[float, Field(allow_inf_nan=False)]
RequestId = Annotated[
    str, Field(min_length=1, max_length=200, description="id of the request; the same id is answered by the same model")
]
Variant = Literal["A", "B"]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class SayRequest(_Body):
    """A message: exactly one of `text`, `meanings` and `problem`."""

    request: RequestId | None = None
    text: str | None = Field(None, max_length=10_000, description="words of the models' language")
    meanings: list[list[Number]] | None = Field(None, description="meanings, [words, dimension]; length 1 each")
    problem: int | None = Field(None, ge=0, lt=ENDLESS, strict=True, description="id of a problem of the test split")
    variant: Variant | None = Field(
        None, description="model to ask instead of the split's; such answers are not logged"
    )

    @model_validator(mode="after")
    def _has_one_message(self) -> "SayRequest":
        if sum(value is not None for value in (self.text, self.meanings, self.problem)) != 1:
            raise ValueError("a message is exactly one of text, meanings and problem")
        return self


class _Answer(BaseModel):
    """What every answer of a model begins with."""

    request: str
    variant: Variant
    model: str = Field(description="SHA-256 of the model's file")
    milliseconds: float = Field(description="from the request to its answer")


class SayAnswer(_Answer):
    """What a model says to a message of T words."""

    message: list[str] = Field(description="words that were due, [T]; the nearest ones to meanings")
    tokens: list[int] = Field(description="[T]")
    words: list[str] = Field(description="words of the tokens, [T]")
    closeness: list[float] = Field(description="cosine of the token's meaning and the meaning that was due, [T]")
    adequacy: list[float] = Field(description="[T]")
    surprisal: list[float] = Field(description="of the token after the previous one, nats, [T]")
    total_return: float = Field(alias="return", description="adequacy minus penalties for surprising tokens")


class ActRequest(_Body):
    """Observations of N episodes that the client holds."""

    request: RequestId | None = None
    observations: list[list[Number]] = Field(min_length=1, description="[N, D], as the environment gives them")
    masks: list[list[bool]] | None = Field(None, description="legal tokens, [N, V], for models that take masks")
    hidden: list[list[list[Number]]] | None = Field(None, description="memory, [layers, N, units]; absent at a start")
    cell: list[list[list[Number]]] | None = Field(None, description="memory, [layers, N, units]; absent at a start")


class ActAnswer(_Answer):
    """The most probable next tokens of N episodes."""

    tokens: list[int] = Field(description="[N]")
    hidden: list[list[list[float]]] | None = Field(description="memory for the next step, of recurrent models")
    cell: list[list[list[float]]] | None = Field(description="memory for the next step, of recurrent models")


class Status(BaseModel):
    """What is deployed."""

    period: int = Field(description="number of the stage; its log is decisions-PERIOD.jsonl")
    a: str = Field(description="SHA-256 of model A's file")
    b: str | None = Field(description="SHA-256 of model B's file")
    share_b: float = Field(description="share of the requests that B answers")
    shadow: bool = Field(description="whether B answers a copy of every request, which is logged and never returned")
    vocabulary: int = Field(description="number of words, V")
    longest_message: int = Field(description="words of the longest message, L")
    columns: int = Field(description="columns of an observation, D")
    dimension: int = Field(description="numbers of a meaning")
    surprisal_budget: float = Field(description="nats of surprisal without penalty")


class Problem(BaseModel):
    """Why a request was refused."""

    detail: str = Field(description="a sentence that says what is wrong and what is allowed")


def sentence_of(errors: list[Any]) -> str:
    """Return the first validation errors as one sentence, without the values, which may be of any size."""
    parts = []
    for error in errors[:3]:
        place = ".".join(str(part) for part in error["loc"][1:])[:100]
        message = str(error["msg"]).removeprefix("Value error, ")[:200]
        parts.append(f"{place}: {message}" if place else message)
    more = f"; and {len(errors) - 3:,} more" if len(errors) > 3 else ""
    return f"the body cannot be used: {'; '.join(parts)}{more}."
