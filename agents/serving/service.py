"""Answer requests with the deployed models, log the decisions, and change the deployment while it answers."""

import asyncio
import time
import uuid
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.serving import messages
from agents.serving.bodies import ActRequest, SayRequest
from agents.serving.decision_log import DecisionLog
from agents.serving.deployment import Deployment, Variant
from agents.serving.messages import Message
from agents.serving.metrics import Metrics
from agents.serving.model import Memory, Model
from agents.serving.player import Answer, Batching, Player
from agents.serving.rollout import Change, Folder, ModelStore, Rollout, Stage
from token_env.errors import SettingError

DIGITS = 5  # decimals of the numbers in answers
SLACK = 1e-5  # by which rounding may exceed the bounds of an observation


class Live(NamedTuple):
    """A stage at work; a request stays with the one in which it came."""

    rollout: Rollout
    deployment: Deployment
    players: dict[Variant, Player]
    decisions: DecisionLog
    shadow: DecisionLog


class Service:
    """The deployed models.

    Args:
        store: Models that may be used.
        folder: Directory of state and logs.
        command: Stage that the command line describes.
        batching: How requests share the calls of a model.
        max_shadow: Largest number of requests that wait for the shadow; more get no answer of it.

    Raises:
        SettingError: A model is missing or the models do not fit together, or the state is damaged.
        OSError: The state cannot be written.
    """

    def __init__(
        self, store: ModelStore, folder: Folder, command: Stage, batching: Batching, max_shadow: int = 1000
    ) -> None:
        self.metrics, self.ready = Metrics(), False
        self._store, self._folder, self._batching, self._max_shadow = store, folder, batching, max_shadow
        self._changing = asyncio.Lock()
        self._shadows: set[asyncio.Task[None]] = set()
        rollout = folder.resume(command)
        self.live = self._build(rollout)
        folder.save(rollout)
        self.metrics.queue.set_function(lambda: sum(player.queued for player in self.live.players.values()))

    def _build(self, rollout: Rollout) -> Live:
        """Load and warm up the models of a stage."""
        stage = rollout.current
        a = self._store.find(stage.a)
        deployment = Deployment(a, None if stage.b is None else self._store.find(stage.b), stage.split)
        players = {variant: Player(deployment, variant, self._batching, self.metrics) for variant in deployment.models}
        for player in players.values():
            player.warm_up()
        logs = (DecisionLog(self._folder.log(kind, rollout.period)) for kind in ("decisions", "shadow"))
        return Live(rollout, deployment, players, *logs)

    async def change(self, change: Change) -> None:
        """Change models or split. Requests that came before are answered as if nothing had changed.

        Raises:
            SettingError: The change does not fit the state, or a model cannot be used.
            OSError: The state cannot be written; nothing has changed.
        """
        async with self._changing:
            rollout = self.live.rollout.after(change)
            live = await asyncio.to_thread(self._build, rollout)
            await asyncio.to_thread(self._folder.save, rollout)
            self.live = live

    def status(self) -> dict[str, Any]:
        """Return what is deployed; see `bodies.Status`."""
        rollout, deployment = self.live.rollout, self.live.deployment
        return rollout.current.model_dump() | {
            "period": rollout.period,
            "vocabulary": deployment.task.vocab_size,
            "longest_message": deployment.task.max_steps,
            "columns": deployment.models["A"].columns,
            "dimension": deployment.dynamics.language.dimension,
            "surprisal_budget": deployment.task.surprisal_budget,
        }

    async def say(self, body: SayRequest, started: float) -> dict[str, Any]:
        """Answer a message and log the decision; see `bodies.SayAnswer`.

        Args:
            body: The request.
            started: Time of its arrival, by `time.perf_counter`.

        Raises:
            SettingError: The message or the variant cannot be used.
            OSError: The log cannot be written.
        """
        live, request = self.live, body.request or uuid.uuid4().hex
        variant = live.deployment.variant_of(request)
        if body.variant is not None:
            variant = _pinned(live, body.variant)
        message = _message(live.deployment, body)
        is_logged = body.variant is None
        if is_logged and live.rollout.current.shadow:
            self._cast_shadow(live, request, message, started)
        answer = await live.players[variant].say(message)
        if is_logged:
            await live.decisions.append(_decision(live, request, variant, message, answer, started))
        language = live.deployment.dynamics.language
        due = live.deployment.dynamics.message_language
        return _header(live, request, variant, started) | {
            "message": [due.surface[token] for token in answer.message],
            "tokens": answer.tokens.tolist(),
            "words": [language.surface[token] for token in answer.tokens],
            "closeness": answer.cosine.round(DIGITS).tolist(),
            "adequacy": answer.adequacy.round(DIGITS).tolist(),
            "surprisal": answer.surprisal.round(DIGITS).tolist(),
            "return": round(answer.total_return, DIGITS),
        }

    async def act(self, body: ActRequest, started: float) -> dict[str, Any]:
        """Choose the next tokens of episodes that the client holds; see `bodies.ActAnswer`.

        Args:
            body: The request.
            started: Time of its arrival, by `time.perf_counter`.

        Raises:
            SettingError: Observations, masks or memory do not fit the model.
        """
        live, request = self.live, body.request or uuid.uuid4().hex
        variant = live.deployment.variant_of(request)
        model = live.deployment.models[variant]
        observations = _observations(live.deployment, model, body.observations)
        masks = _masks(live.deployment, model, body.masks, len(observations))
        memory = _memory(model, body, len(observations))
        step = await live.players[variant].act(observations, masks, memory)
        hidden, cell = (part.swapaxes(0, 1).tolist() if model.recurrent else None for part in step.memory)
        answer = {"tokens": step.tokens.tolist(), "hidden": hidden, "cell": cell}
        return _header(live, request, variant, started) | answer

    async def finish(self) -> None:
        """Wait for the shadow's last answers."""
        await asyncio.gather(*self._shadows, return_exceptions=True)

    def _cast_shadow(self, live: Live, request: str, message: Message, started: float) -> None:
        player = live.players["B"]
        if player.queued >= self._max_shadow:
            self.metrics.shadow_dropped.inc()
            return
        task = asyncio.get_running_loop().create_task(_shadow(live, request, message, started))
        self._shadows.add(task)
        task.add_done_callback(self._shadow_ended)

    def _shadow_ended(self, task: "asyncio.Task[None]") -> None:
        self._shadows.discard(task)
        if task.cancelled() or task.exception():
            self.metrics.shadow_dropped.inc()


async def _shadow(live: Live, request: str, message: Message, started: float) -> None:
    answer = await live.players["B"].say(message)
    await live.shadow.append(_decision(live, request, "B", message, answer, started))


def _pinned(live: Live, variant: Variant) -> Variant:
    if variant not in live.players:
        raise SettingError("there is no model B; leave out variant, or load a model as B.")
    if variant == "B" and live.rollout.current.shadow:
        raise SettingError("B answers in the shadow: its answers are logged and never returned.")
    return variant


def _message(deployment: Deployment, body: SayRequest) -> Message:
    if body.text is not None:
        return messages.from_text(deployment, body.text)
    if body.meanings is not None:
        return messages.from_meanings(deployment, body.meanings)
    assert body.problem is not None
    return messages.from_problem(deployment, body.problem)


def _header(live: Live, request: str, variant: Variant, started: float) -> dict[str, Any]:
    checksum = live.deployment.models[variant].checksum
    return {"request": request, "variant": variant, "model": checksum, "milliseconds": _milliseconds(started)}


def _decision(
    live: Live, request: str, variant: Variant, message: Message, answer: Answer, started: float
) -> dict[str, Any]:
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "request": request,
        "variant": variant,
        "share_b": live.deployment.split.share_b,
        "model": live.deployment.models[variant].checksum,
        "problem": message.problem_id,
        "message": None if message.problems is None else answer.message.tolist(),
        "tokens": answer.tokens.tolist(),
        "return": answer.total_return,
        "latency_ms": _milliseconds(started),
    }


def _milliseconds(started: float) -> float:
    return round(1000 * (time.perf_counter() - started), 3)


def _observations(deployment: Deployment, model: Model, rows: list[list[float]]) -> NDArray[Any]:
    if {len(row) for row in rows} != {model.columns}:
        raise SettingError(f"an observation has {model.columns} numbers.")
    observations = np.array(rows, dtype=np.float64)
    low, high = deployment.dynamics.observation_bounds
    outside = (observations < low - SLACK) | (observations > high + SLACK)
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise SettingError(
            f"number {column} of observation {row} is {observations[row, column]:g}; it must be from "
            f"{low[column]:g} to {high[column]:g}."
        )
    if model.dtype == np.int64 and (observations % 1).any():
        raise SettingError("the observations of these models are whole numbers: ids of tokens, and the clock.")
    return observations.astype(model.dtype)


def _masks(deployment: Deployment, model: Model, masks: list[list[bool]] | None, rows: int) -> NDArray[np.bool_] | None:
    if not model.takes_masks:
        return None
    words = deployment.task.vocab_size
    if masks is None or len(masks) != rows or {len(mask) for mask in masks} != {words}:
        raise SettingError(f"the model takes masks: {rows:,} of {words:,} truth values each.")
    legal = np.array(masks, dtype=bool)
    if not legal.any(axis=1).all():
        raise SettingError("a mask leaves no token; at least one must be true.")
    return legal


def _memory(model: Model, body: ActRequest, rows: int) -> Memory:
    if not model.recurrent or (body.hidden is None and body.cell is None):
        return model.initial_memory(rows)
    layers, units = model.memory_shape
    try:
        parts = [np.array(part, dtype=np.float64) for part in (body.hidden, body.cell)]
    except ValueError:
        parts = []
    if [part.shape for part in parts] != [(layers, rows, units)] * 2:
        raise SettingError(
            f"hidden and cell have the shape [{layers}, {rows:,}, {units}] each; leave out both at a start."
        )
    if max(np.abs(part).max() for part in parts) > np.finfo(np.float32).max:
        raise SettingError("hidden and cell hold numbers beyond those of float32.")
    return Memory(*(part.astype(np.float32).swapaxes(0, 1) for part in parts))
