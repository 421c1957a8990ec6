"""Environment options, and equality of nested observations."""

import numpy as np


def assert_same(ours, theirs):
    """Equal in structure, dtype and value, dictionaries and object arrays included."""
    if isinstance(theirs, dict):
        assert set(ours) == set(theirs)
        for key in theirs:
            assert_same(ours[key], theirs[key])
    elif isinstance(theirs, tuple):
        for mine, other in zip(ours, theirs, strict=True):
            assert_same(mine, other)
    elif isinstance(theirs, np.ndarray) and theirs.dtype == object:
        for mine, other in zip(ours, theirs, strict=True):
            assert (mine is None) == (other is None)
            if other is not None:
                np.testing.assert_array_equal(mine, other)
    else:
        np.testing.assert_array_equal(ours, theirs)
        assert np.asarray(ours).dtype == np.asarray(theirs).dtype


OPTIONS = [
    {"optimum": True},
    {"optimum": True, "split": "test", "reward": "terminal"},
    {"observation": "tokens", "lookahead": 2},
    {"language": "english", "optimum": True, "observation": "tokens"},
    {"message_vocab": 30, "observation": "tokens"},
]
