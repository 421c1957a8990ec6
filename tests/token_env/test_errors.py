"""What is wrong is named, with what is allowed, in an error of the kind that callers expect."""

import gymnasium
import numpy as np
import pytest
from gymnasium.error import InvalidAction

from token_env.env import TokenEnv
from token_env.errors import SettingError, find, unknown_name
from token_env.vector import TokenVectorEnv


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


@pytest.mark.parametrize("make", [gymnasium.make, gymnasium.make_vec])
def test_an_unknown_keyword_is_a_type_error_and_a_setting_error(make):
    for kind in (TypeError, SettingError):
        with pytest.raises(kind, match=r"unexpected keyword argument 'vocab_siz'\. Did you mean 'vocab_size'"):
            make("TokenTask-v0", vocab_siz=3)


@pytest.mark.parametrize("action", [np.array([3]), [3], 3.0, "a", None, np.array([[3]])])
def test_one_environment_asks_for_one_integer(action):
    env = TokenEnv(vocab_size=64)
    env.reset()
    with pytest.raises(InvalidAction, match=r"an action is one integer from 0 to 63, "):
        env.step(action)


@pytest.mark.parametrize("seed", [1.0, "ab", {1, 2}])
def test_a_seed_that_is_no_integer_is_named(seed):
    with pytest.raises(SettingError, match="a seed is an integer, or one integer for each environment"):
        TokenVectorEnv(2, vocab_size=64).reset(seed=seed)


@pytest.mark.parametrize("language", [3, None, b"english"])
def test_a_language_is_a_name_or_a_language(language):
    with pytest.raises(SettingError, match="language is a name or a Language"):
        TokenEnv(language=language)
