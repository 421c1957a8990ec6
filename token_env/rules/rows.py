"""Select and replace rows of named tuples of arrays that share their first axis."""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Fields = TypeVar("Fields", bound=tuple[Any, ...])  # a NamedTuple of arrays [N, …]
Rows = NDArray[np.integer] | slice


def take(fields: Fields, rows: Rows) -> Fields:
    """Return these rows of every field."""
    return _like(fields, [field[rows] for field in fields])


def put(fields: Fields, rows: Rows, replacement: Fields) -> None:
    """Replace these rows of every field in place."""
    for field, new in zip(fields, replacement, strict=True):
        field[rows] = new


def replace(fields: Fields, rows: Rows, replacement: Fields) -> Fields:
    """Return a copy of all fields with these rows replaced."""
    copy = _like(fields, [field.copy() for field in fields])
    put(copy, rows, replacement)
    return copy


def zeros(fields: Fields, num_rows: int) -> Fields:
    """Return fields of `num_rows` rows of zeros, with the other axes and dtypes of `fields`."""
    return _like(fields, [np.zeros((num_rows, *field.shape[1:]), dtype=field.dtype) for field in fields])


def _like(fields: Fields, arrays: list[NDArray[Any]]) -> Fields:
    return type(fields)(*arrays)
