"""Play many episodes with one model: one call gives one token of each, and a new episode joins at any token.

So a busy model works on many rows at once, where a row costs least, and an idle one answers at once. Long calls run in
a thread, beside which the event loop serves other requests; everything else happens in the event loop's thread.
"""

import asyncio
from collections import deque
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from agents.serving import messages
from agents.serving.deployment import Deployment, Variant
from agents.serving.messages import Message, ProblemCache
from agents.serving.metrics import Metrics
from agents.serving.model import Memory, Model
from token_env.errors import SettingError
from token_env.rules import rows as row_fields
from token_env.rules.problems import Problems
from token_env.rules.state import State
from token_env.rules.terms import adequacy

THREAD_ROWS = 4  # calls with fewer rows take less time than handing them to a thread


class Batching(NamedTuple):
    """How requests share the calls of a model."""

    rows: int = 64  # largest number of rows in a call
    delay_ms: float = 0.0  # time that an idle model waits for more requests, if the last ones came together


class Answer(NamedTuple):
    """What a model says to a message of T words."""

    message: NDArray[np.int64]  # [T] words that were due; the nearest ones to meanings
    tokens: NDArray[np.int64]  # [T]
    cosine: NDArray[np.float64]  # [T] closeness of each token to the meaning that was due
    adequacy: NDArray[np.float64]  # [T]
    surprisal: NDArray[np.float64]  # [T] nats
    total_return: float  # adequacy minus fluency penalty of the episode


class Step(NamedTuple):
    """The next token of N episodes that a client holds."""

    tokens: NDArray[np.int64]  # [N]
    memory: Memory  # input of the next step


class _Rows(NamedTuple):
    """Episodes in progress; the first axis of every field is the row."""

    problems: Problems
    due: NDArray[Any]  # [N, L + 1, columns]
    state: State
    length: NDArray[np.int64]  # [N] T
    tokens: NDArray[np.int64]  # [N, L]
    memory: Memory
    answers: NDArray[Any]  # [N] futures


class Player:
    """One model of a deployment.

    Args:
        deployment: The deployment.
        variant: Variant of the model.
        batching: How requests share calls.
        metrics: Where the rows of each call are counted.
    """

    def __init__(self, deployment: Deployment, variant: Variant, batching: Batching, metrics: Metrics) -> None:
        self.model: Model = deployment.models[variant]
        self._deployment, self._variant, self._batching, self._metrics = deployment, variant, batching, metrics
        self._problems = ProblemCache(deployment)
        self._waiting: deque[tuple[Message, asyncio.Future[Answer]]] = deque()
        self._steps: deque[tuple[NDArray[Any], Any, Memory, asyncio.Future[Step]]] = deque()
        self._open: set[asyncio.Future[Any]] = set()  # of all who wait for an answer
        self._rows: _Rows | None = None
        self._busy = False  # whether the last call had several rows
        self._task: asyncio.Task[None] | None = None

    @property
    def queued(self) -> int:
        """Number of requests that wait for a row."""
        return len(self._waiting) + len(self._steps)

    async def say(self, message: Message) -> Answer:
        """Return the model's most probable tokens for a message."""
        future: asyncio.Future[Answer] = self._new_future()
        self._waiting.append((message, future))
        self._start()
        return await future

    async def act(self, observations: NDArray[Any], masks: NDArray[np.bool_] | None, memory: Memory) -> Step:
        """Return the model's most probable tokens for observations [N, D], with masks [N, V] and memory.

        Raises:
            SettingError: The model has no finite logits for an observation.
        """
        futures: list[asyncio.Future[Step]] = []
        for first in range(0, len(observations), self._batching.rows):
            part = slice(first, first + self._batching.rows)
            future: asyncio.Future[Step] = self._new_future()
            legal = None if masks is None else masks[part]
            self._steps.append((observations[part], legal, row_fields.take(memory, part), future))
            futures.append(future)
        self._start()
        parts = await asyncio.gather(*futures)
        return Step(
            np.concatenate([part.tokens for part in parts]),
            Memory(*(np.concatenate(field) for field in zip(*(part.memory for part in parts), strict=True))),
        )

    def warm_up(self) -> None:
        """Answer one problem, and make one call of the largest size, before the first request comes."""
        rows = self._new_rows([messages.from_problem(self._deployment, 0)], [None])
        while (rows.state.step < rows.length).all():
            rows = self._after(rows, *self.model.logits(*self._inputs(rows)))
        wide = np.zeros((self._batching.rows, self.model.columns), self.model.dtype)
        self.model.logits(wide, None, self.model.initial_memory(len(wide)))

    def _new_future(self) -> asyncio.Future[Any]:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open.add(future)
        future.add_done_callback(self._open.discard)
        return future

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def _run(self) -> None:
        if self._busy and self._batching.delay_ms and self.queued < self._batching.rows:
            await asyncio.sleep(self._batching.delay_ms / 1000)
        try:
            while self._rows is not None or self.queued:
                self._admit()
                if self._rows is not None:
                    logits, memory = await self._logits(*self._inputs(self._rows))
                    self._rows = self._unfinished(self._after(self._rows, logits, memory))
                if self._steps:
                    await self._answer_steps()
                await asyncio.sleep(0)
        except Exception as error:  # nobody awaits this task, so those who wait get the error
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._waiting.clear()
        self._steps.clear()
        self._rows = None
        for future in list(self._open):
            if not future.done():
                future.set_exception(error)

    def _admit(self) -> None:
        free = self._batching.rows - (0 if self._rows is None else len(self._rows.length))
        joining: list[tuple[Message, asyncio.Future[Answer]]] = []
        while self._waiting and len(joining) < free:
            message, future = self._waiting.popleft()
            if not future.done():  # nobody waits for a request that was given up
                joining.append((message, future))
        if joining:
            fresh = self._new_rows(*map(list, zip(*joining, strict=True)))
            self._rows = fresh if self._rows is None else _joined(self._rows, fresh)

    def _new_rows(self, joining: list[Message], futures: list[Any]) -> _Rows:
        deployment, size = self._deployment, len(joining)
        problems = self._problems.rows(joining)
        length = np.array([message.length for message in joining])
        due = deployment.dynamics.due(problems)
        for short in np.unique(length[length < deployment.task.max_steps]):  # whose clock runs faster
            rows = np.flatnonzero(length == short)
            cut = row_fields.take(problems, rows)
            cut = cut._replace(
                message=cut.message[:, :short], weights=cut.weights[:, :short], meanings=cut.meanings[:, :short]
            )
            due[rows, : short + 1] = deployment.dynamics_of_length(int(short)).due(cut)
        answers = np.empty(size, dtype=object)
        answers[:] = futures
        tokens = np.zeros((size, deployment.task.max_steps), np.int64)
        initial = deployment.dynamics.initial(problems)
        return _Rows(problems, due, initial, length, tokens, self.model.initial_memory(size), answers)

    async def _logits(
        self, observations: NDArray[Any], masks: NDArray[np.bool_] | None, memory: Memory
    ) -> tuple[NDArray[np.float32], Memory]:
        """Return what the model returns, and let the event loop serve others if that takes long."""
        self._metrics.rows.labels(self._variant).observe(len(observations))
        if len(observations) < THREAD_ROWS:
            return self.model.logits(observations, masks, memory)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, self.model.logits, observations, masks, memory)

    def _inputs(self, rows: _Rows) -> tuple[NDArray[Any], NDArray[np.bool_] | None, Memory]:
        dynamics = self._deployment.dynamics
        masks = dynamics.legal(rows.state) if self.model.takes_masks else None
        return dynamics.observe_due(rows.due, rows.state), masks, rows.memory

    def _after(self, rows: _Rows, logits: NDArray[np.float32], memory: Memory) -> _Rows:
        """Return the rows after the most probable token of each."""
        dynamics, size = self._deployment.dynamics, len(rows.length)
        tokens = logits[:, : dynamics.language.vocab_size].argmax(axis=1)
        rows.tokens[np.arange(size), rows.state.step] = tokens
        self._busy = size > 1
        return rows._replace(state=dynamics.transition(rows.problems, rows.state, tokens).next_state, memory=memory)

    def _unfinished(self, rows: _Rows) -> _Rows | None:
        """Answer the episodes that are over, and return the others."""
        over = rows.state.step >= rows.length
        if not over.any():
            return rows
        for row in np.flatnonzero(over):
            if not rows.answers[row].done():
                rows.answers[row].set_result(self._answer(rows, int(row)))
        return None if over.all() else _taken(rows, ~over)

    def _answer(self, rows: _Rows, row: int) -> Answer:
        language, length = self._deployment.dynamics.language, rows.length[row]
        problems, tokens = rows.problems, rows.tokens[row, :length]
        previous = np.concatenate([problems.start[row, None], tokens[:-1]])
        cosine = np.vecdot(language.meaning[tokens], problems.meanings[row, :length])
        adequacies = adequacy(cosine, problems.weights[row, :length], self._deployment.task.adequacy_scale)
        total = float(rows.state.adequacy[row] - rows.state.fluency_penalty[row])
        message = problems.message[row, :length]
        return Answer(message, tokens, cosine, adequacies, language.surprisal(previous, tokens), total)

    async def _answer_steps(self) -> None:
        """Answer clients that hold their episodes, as many as fit in one call."""
        taken = [self._steps.popleft()]
        rows = len(taken[0][0])
        while self._steps and rows + len(self._steps[0][0]) <= self._batching.rows:
            taken.append(self._steps.popleft())
            rows += len(taken[-1][0])
        observations, masks, memories, futures = zip(*taken, strict=True)
        legal = None if masks[0] is None else np.concatenate(masks)
        memory = Memory(*(np.concatenate(field) for field in zip(*memories, strict=True)))
        logits, memory = await self._logits(np.concatenate(observations), legal, memory)
        logits = logits[:, : self._deployment.dynamics.language.vocab_size]
        tokens, finite = logits.argmax(axis=1), np.isfinite(logits.max(axis=1))
        first = 0
        for part, future in zip(observations, futures, strict=True):
            own = slice(first, first + len(part))
            first += len(part)
            if future.done():
                continue
            if finite[own].all():
                future.set_result(Step(tokens[own], row_fields.take(memory, own)))
            else:
                future.set_exception(SettingError("the model has no finite logits for an observation."))


def _taken(rows: _Rows, kept: NDArray[np.bool_]) -> _Rows:
    return _Rows(*(_selected(field, kept) for field in rows))


def _selected(field: Any, kept: NDArray[np.bool_]) -> Any:
    return type(field)(*(part[kept] for part in field)) if isinstance(field, tuple) else field[kept]


def _joined(rows: _Rows, others: _Rows) -> _Rows:
    return _Rows(*(_concatenated(first, second) for first, second in zip(rows, others, strict=True)))


def _concatenated(first: Any, second: Any) -> Any:
    if isinstance(first, tuple):
        return type(first)(*map(_concatenated, first, second))
    return np.concatenate([first, second])
