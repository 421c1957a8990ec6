"""Hold the state of an environment as numbers: to plan from it, to come back to it, to send it to another process."""

from typing import NamedTuple

import numpy as np

from token_env.errors import SettingError
from token_env.rules.state import State


class RowSnapshot(NamedTuple):
    """Where one row of a batch is; immutable and hashable."""

    rules: int  # fingerprint of the rules
    problem_id: int  # problem of the episode
    next_id: int  # problem of the next episode
    tokens: tuple[int, ...]  # [t] tokens so far
    adequacy: float  # sum since the start
    fluency_penalty: float  # sum since the start
    optimal_return: float | None  # highest possible return; None unless the task has optimum=True

    def check(self, rules: int) -> None:
        """Reject other rules than those of the snapshot.

        Raises:
            SettingError: The fingerprint is another one.
        """
        if self.rules != rules:
            raise SettingError(
                "this state is of another task: its size, language, split or another constant differs; restore it in "
                "an environment with the same keywords, such as gymnasium.make(env.spec)."
            )

    def state(self, start: int) -> State:
        """Return the state of the row, [1].

        Args:
            start: Token before the message.
        """
        previous = self.tokens[-1] if self.tokens else start
        terms = np.array([self.adequacy]), np.array([self.fluency_penalty])
        return State(np.array([previous]), np.array([len(self.tokens)]), *terms)


class Snapshot(NamedTuple):
    """State of a `TokenEnv`, which `TokenEnv.state` returns and `TokenEnv.restore` takes; immutable and hashable."""

    row: RowSnapshot
    generator: tuple[int, int, int, int]  # state, increment, has_uint32 and uinteger of `np_random`, a PCG64
    seed: int  # `np_random_seed`

    @classmethod
    def of(cls, row: RowSnapshot, generator: np.random.Generator, seed: int) -> "Snapshot":
        """Return the snapshot of an environment with this random generator, a PCG64 as Gymnasium makes them."""
        state = generator.bit_generator.state
        words = state["state"]
        return cls(row, (words["state"], words["inc"], state["has_uint32"], state["uinteger"]), seed)

    def restore_generator(self, generator: np.random.Generator) -> None:
        """Put a generator where it was at the snapshot."""
        state, increment, has_uint32, uinteger = self.generator
        generator.bit_generator.state = {
            "bit_generator": "PCG64",
            "state": {"state": state, "inc": increment},
            "has_uint32": has_uint32,
            "uinteger": uinteger,
        }
