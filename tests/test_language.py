import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_env import SettingError, find_language
from token_env.language import from_arrays
from token_env.synthetic import pseudo_words, synthetic

VOCABULARIES = (64, 1000, 5000)


def test_normalizer_and_surprisal_equal_hand_computed_numbers(small_language):
    z0 = 0.5 * math.e + 0.3 + 0.2 / math.e
    z1 = 0.5 + 0.3 * math.exp(6) + 0.2
    assert small_language.log_normalizer[:2] == pytest.approx([math.log(z0), math.log(z1)])
    # after token 1, token 2 has affinity 0 and frequency 0.2
    expected = math.log(z1) - math.log(0.2)
    assert small_language.surprisal(np.array([1]), np.array([2])) == pytest.approx([expected])


@pytest.mark.parametrize("vocab_size", VOCABULARIES)
def test_the_probabilities_after_any_token_sum_to_one(vocab_size):
    language = synthetic(vocab_size)
    rows = np.arange(0, vocab_size, max(1, vocab_size // 20))
    scores = language.context[rows] @ language.output.T + language.log_unigram
    assert np.exp(scores - language.log_normalizer[rows, None]).sum(axis=1) == pytest.approx(1.0)


def test_surprisals_of_all_tokens_equal_surprisal_of_each():
    language = synthetic(50)
    previous, token = np.divmod(np.arange(2500), 50)
    assert language.surprisals(np.arange(50)).ravel() == pytest.approx(language.surprisal(previous, token))


@pytest.mark.parametrize("vocab_size", VOCABULARIES)
def test_nine_tenths_of_the_tokens_can_follow_some_other_token_within_the_budget(vocab_size):
    language = synthetic(vocab_size)
    least = np.full(vocab_size, np.inf)
    for rows in np.array_split(np.arange(vocab_size), 20):
        surprisal = language.surprisals(rows)
        surprisal[np.arange(len(rows)), rows] = np.inf  # another token
        least = np.minimum(least, surprisal.min(axis=0))
    assert (least <= 5.0).mean() >= 0.9


def test_rarity_floor_raises_the_rare_words_alone():
    language = synthetic(5000)
    changed = language.floored_log_unigram > language.log_unigram
    assert changed.any()
    assert not changed[:1000].any()
    assert np.ptp(language.floored_log_unigram[changed]) == 0


@given(st.integers(2, 80), st.integers(0, 40), st.integers(0, 3))
def test_synthetic_languages_of_one_seed_nest(small, more, seed):
    direct, cut = synthetic(small, seed), synthetic(small + more, seed).truncate(small)
    assert cut.fingerprint == direct.fingerprint
    assert cut.surface == direct.surface
    for name in ("log_unigram", "context", "output", "meaning", "log_normalizer", "floored_log_unigram"):
        np.testing.assert_allclose(getattr(cut, name), getattr(direct, name), atol=1e-12)


def test_seeds_and_sizes_have_their_own_fingerprints():
    languages = [synthetic(64), synthetic(65), synthetic(64, seed=1)]
    assert len({language.fingerprint for language in languages}) == 3


def test_a_word_drawn_from_the_unigram_distribution_pays_one_on_average():
    language = synthetic(1000)
    assert np.exp(language.log_unigram) @ language.payment == pytest.approx(1.0)


def test_pseudo_words_are_distinct():
    assert len(set(pseudo_words(6000))) == 6000


def test_nothing_kept_by_a_large_language_exceeds_16_megabytes():
    language = synthetic(5000)
    _ = language.rarity_floor, language.payment
    assert all(value.nbytes < 16e6 for value in vars(language).values() if isinstance(value, np.ndarray))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"log_unigram": [-1.0, -0.5, -2.0]}, "fall with the rank"),
        ({"log_unigram": [-1.0]}, "V ≥ 2"),
        ({"context": [[np.nan, 0.0], [0.0, 1.0], [1.0, 1.0]]}, "finite"),
        ({"output": [[2.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]}, "unit length"),
        ({"context": [[1.0], [1.0], [1.0]]}, "one shape"),
        ({"surface": ["a", "b"]}, "V words"),
    ],
)
def test_arrays_that_describe_no_language_are_refused(small_language, change, message):
    names = ("log_unigram", "context", "output", "surface")
    arrays = {name: getattr(small_language, name) for name in names}
    with pytest.raises(SettingError, match=message):
        from_arrays(**(arrays | change))


def test_a_language_of_too_many_tokens_is_refused(small_language):
    with pytest.raises(SettingError, match="this language has 3 tokens, 4 were asked for"):
        find_language(small_language, 4)


@pytest.mark.parametrize("name", ["sinthetic", "text:", "synthetic:3", "english "])
def test_unknown_languages_are_refused(name):
    with pytest.raises(SettingError, match="unknown language"):
        find_language(name, 10)
