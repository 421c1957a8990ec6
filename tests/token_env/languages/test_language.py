import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from token_env import SettingError, find_language
from token_env.env import TokenEnv
from token_env.languages.language import from_arrays
from token_env.languages.synthetic import pseudo_words, synthetic

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


def test_the_rarity_floor_is_the_frequency_at_rank_999_or_what_nine_tenths_of_the_tokens_need():
    language = synthetic(5000)
    assert language.rarity_floor == language.log_unigram[999]
    # Ten tokens in one dimension; contexts of -8 make the outputs of -1 likely and those of +1 need a high floor.
    output = np.array([-1.0] * 8 + [1.0] * 2)[:, None]
    hard = from_arrays(np.log(np.full(10, 0.1)), np.full((10, 1), -8.0), output)
    normalizer = math.log(0.1 * (8 * math.exp(8) + 2 * math.exp(-8)))
    assert hard.rarity_floor == pytest.approx(normalizer + 8 - 5)  # two tokens in ten need it, so nine in ten do
    easy = from_arrays(np.log(np.full(10, 0.1)), np.full((10, 1), -8.0), -np.abs(output))
    assert easy.rarity_floor == pytest.approx(math.log(0.1))  # no token needs a floor
    # Without contexts every token is within 5 nats if its frequency is: nine in ten are, so the tenth stays as it is.
    rare = from_arrays(np.log([0.1111] * 9 + [0.0001]), np.zeros((10, 1)), np.ones((10, 1)))
    assert rare.rarity_floor == pytest.approx(math.log(0.0001 / 1.0000), abs=1e-3)


def test_rarity_is_a_tenth_of_the_log_ratio_to_the_most_frequent_token(small_language):
    assert small_language.rarity == pytest.approx(np.log([1.0, 0.5 / 0.3, 0.5 / 0.2]) / 10)


def test_a_language_cannot_be_changed():
    given = np.eye(2)
    language = from_arrays(np.log([0.5, 0.5]), given, given)
    given[0] = 7.0
    assert language.output.tolist() == [[1, 0], [0, 1]]
    with pytest.raises(ValueError, match="read-only"):
        language.output[0] = 7.0


def test_a_language_without_contexts_can_be_played():
    language = from_arrays(np.log([0.5, 0.3, 0.2]), np.zeros((3, 2)), [[1, 0], [0, 1], [-1, 0]])
    observation, _ = TokenEnv(language=language, vocab_size=3).reset(seed=0)
    assert np.isfinite(observation).all()


def test_frequencies_that_do_not_sum_to_one_are_normalised():
    language = from_arrays([0.0, -1.0], np.eye(2), np.eye(2))
    assert np.exp(language.log_unigram).sum() == pytest.approx(1.0)


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
