"""Read the options and seeds of a reset."""

from typing import Any

import numpy as np
from gymnasium.utils import seeding

from token_env.errors import unknown_name

RESET_OPTIONS = ("problem_id",)


def validate_options(options: dict[str, Any] | None, known: tuple[str, ...] = RESET_OPTIONS) -> dict[str, Any]:
    """Return the options of a reset, {} for None.

    Raises:
        SettingError: An unknown option.
    """
    for name in options or {}:
        if name not in known:
            raise unknown_name("reset option", name, known)
    return options or {}


def seeded_generator(seed: int | None) -> np.random.Generator:
    """Return the generator that `Env.reset(seed=seed)` would make; a new unseeded one for None."""
    return seeding.np_random(seed)[0]
