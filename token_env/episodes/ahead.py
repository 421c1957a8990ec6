"""Draw problems in a thread, before they are started."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from token_env.rules.observations import Observations
from token_env.rules.problems import Problems

Drawn = tuple[Problems, Observations]  # problems, and `Dynamics.due` of them


class _Pending(NamedTuple):
    ids: NDArray[np.int64]  # [N] problem ids
    drawn: "Future[Drawn]"


class ProblemsAhead:
    """The problems of one start, drawn by a thread of its own."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._pending: _Pending | None = None

    def draw(self, ids: NDArray[np.int64], function: Callable[[NDArray[np.int64]], Drawn]) -> None:
        """Let the thread call a function with problem ids, [N]; do nothing if it has drawn what was not yet taken."""
        if self._pending is None:
            self._executor = self._executor or ThreadPoolExecutor(1, thread_name_prefix="problems")
            self._pending = _Pending(ids, self._executor.submit(function, ids))

    def take(self, ids: NDArray[np.int64]) -> Drawn | None:
        """Return what was drawn if it has these ids, [n], and forget it; None if it has not, or nothing was drawn.

        It waits for the thread in any case, so that the caller may then draw from what the thread uses.
        """
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        wait([pending.drawn])
        return pending.drawn.result() if np.array_equal(pending.ids, ids) else None

    def close(self) -> None:
        """End the thread, if there is one."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = self._pending = None
