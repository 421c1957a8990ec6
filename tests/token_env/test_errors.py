"""A name that is in no table is refused with the nearest one of it, and with all that are there."""

import pytest

from token_env.errors import SettingError, find, unknown_name


def test_a_name_of_the_table_is_found():
    assert find("reward", "dense", {"dense": 1, "exact": 2}) == 1


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dens", "unknown reward 'dens'. Did you mean 'dense'? Known: dense, exact."),
        ("exat", "unknown reward 'exat'. Did you mean 'exact'? Known: dense, exact."),
        ("zzz", "unknown reward 'zzz'. Known: dense, exact."),
        ("", "unknown reward ''. Known: dense, exact."),
    ],
)
def test_another_name_is_refused_with_the_nearest_one(name, message):
    with pytest.raises(SettingError) as refused:
        find("reward", name, {"dense": 1, "exact": 2})
    assert str(refused.value) == message


def test_where_nothing_is_known_nothing_is_suggested():
    assert str(unknown_name("study", "x", [])) == "unknown study 'x': there is none yet."
