"""Pick and replace rows of named tuples whose fields are all arrays with the rows as their first axis."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Fields = TypeVar("Fields", bound=tuple[Any, ...])  # a NamedTuple of arrays [N, …]
Rows = NDArray[np.integer] | slice


def take(fields: Fields, rows: Rows) -> Fields:
    """These rows of every field."""
    return _like(fields, [field[rows] for field in fields])


def put(fields: Fields, rows: Rows, replacement: Fields) -> None:
    """Replace these rows of every field in place."""
    for field, new in zip(fields, replacement, strict=True):
        field[rows] = new


def replaced(fields: Fields, rows: Rows, replacement: Fields) -> Fields:
    """A copy of every field with these rows replaced."""
    copied = _like(fields, [field.copy() for field in fields])
    put(copied, rows, replacement)
    return copied


def zeros(fields: Fields, num_rows: int) -> Fields:
    """So many rows of zeros, the other axes and dtypes as in `fields`."""
    return _like(fields, [np.zeros((num_rows, *field.shape[1:]), dtype=field.dtype) for field in fields])


def _like(fields: Fields, arrays: list[NDArray[Any]]) -> Fields:
    return type(fields)(*arrays)
