import os
import pydoc_data.topics
import re
import time
from itertools import pairwise

import numpy as np
import pytest
from scipy.sparse import coo_array, csr_array

from tests.support.text import TEXT
from token_env import SettingError, find_language
from token_env.languages.corpus import split_words
from token_env.languages.text import _factors, from_passages, from_words

DOCUMENTATION = "\n".join(pydoc_data.topics.topics.values())


@pytest.fixture(scope="module")
def documentation():
    words = split_words(DOCUMENTATION)
    return words, from_words(words, 1000)


def log_likelihood(words, language, context):
    """Mean log-probability in nats of the neighbouring pairs whose words are both known."""
    rank = {word: place for place, word in enumerate(language.surface)}
    pairs = [(rank[a], rank[b]) for a, b in pairwise(words) if a in rank and b in rank]
    previous, token = np.array(pairs).T
    scores = context @ language.output.T + language.log_unigram
    log_normalizer = np.log(np.exp(scores).sum(axis=1))
    return (scores[previous, token] - log_normalizer[previous]).mean()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't PANIC: it's 42 naïve_words.", ["don't", "panic", "it's", "naïve", "words"]),
        ("don't panic: '42' it's", ["don't", "panic", "it's"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),
        ("తెలుగు భాష", ["తెలుగు", "భాష"]),
        ("שָׁלוֹם ג׳ירפה", ["שָׁלוֹם", "ג׳ירפה"]),
        ("العَرَبِيَّة", ["العَرَبِيَّة"]),
        ("می\u200cخواهم \u200cخواهم", ["می\u200cخواهم", "خواهم"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("co\u00adoperate \u200fab\u200e", ["cooperate", "ab"]),
        ("中文分词", ["中文分词"]),  # has to be segmented first
    ],
)
def test_words_are_letters_with_their_marks_and_apostrophes_in_lower_case(text, words):
    assert split_words(text) == words


def test_ranks_fall_with_frequency():
    language = from_words(split_words(TEXT), 10)
    assert language.surface[0] == "the"
    assert (np.diff(language.log_unigram) <= 0).all()
    assert np.exp(language.log_unigram).sum() == pytest.approx(1.0)


def test_bigrams_explain_a_text_much_better_than_unigrams(documentation):
    words, language = documentation
    perplexity = np.exp(-log_likelihood(words, language, language.context))
    unigrams = np.exp(-log_likelihood(words, language, 0 * language.context))
    assert perplexity < 0.5 * unigrams
    assert 80 < perplexity < 130  # 106 in a prototype with other word rules


def test_kappa_is_the_likeliest(documentation):
    words, language = documentation
    best = log_likelihood(words, language, language.context)
    assert best > log_likelihood(words, language, 1.02 * language.context)
    assert best > log_likelihood(words, language, 0.98 * language.context)


def test_nine_tenths_of_the_words_can_follow_some_other_word_within_the_budget(documentation):
    _, language = documentation
    surprisal = language.surprisals(np.arange(1000))
    np.fill_diagonal(surprisal, np.inf)
    assert (surprisal.min(axis=0) <= 5.0 + 1e-9).mean() >= 0.9  # the floor puts one word at 5.0 but for rounding


def test_association_is_positive_pmi_with_smoothed_contexts():
    # "a b" 3 times, "a c" once, "b a" once, "c a" once.
    pairs = csr_array(np.array([[0.0, 3.0, 1.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))
    left, right = _factors(pairs)
    smoothed = np.array([2.0, 3.0, 1.0]) ** 0.75
    share = smoothed / smoothed.sum()
    pmi = np.array(
        [
            [0.0, np.log(3 / 4 / share[1]), np.log(1 / 4 / share[2])],
            [np.log(1 / share[0]), 0.0, 0.0],
            [np.log(1 / share[0]), 0.0, 0.0],
        ]
    )
    assert pmi[0, 2] > 0
    np.testing.assert_allclose(left @ right.T, np.maximum(pmi, 0.0), atol=1e-12)  # three words: the SVD is complete
    strengths = np.linalg.svd(np.maximum(pmi, 0.0), compute_uv=False)
    np.testing.assert_allclose(np.linalg.norm(left, axis=0)[:3], np.sqrt(strengths), atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(right, axis=0)[:3], np.sqrt(strengths), atol=1e-12)


def test_pairs_rarer_than_chance_do_not_repel():
    pairs = csr_array(np.array([[9.0, 1.0], [1.0, 1.0]]))
    left, right = _factors(pairs)
    assert (left @ right.T).min() >= -1e-12


def test_the_largest_entry_of_every_factor_is_positive(documentation):
    words, language = documentation
    rank = {word: place for place, word in enumerate(language.surface)}
    known = [(rank[a], rank[b]) for a, b in pairwise(words) if a in rank and b in rank]
    left, _ = _factors(csr_array(coo_array((np.ones(len(known)), np.transpose(known)), shape=(1000, 1000))))
    assert (left[np.argmax(np.abs(left), axis=0), np.arange(16)] > 0).all()


def test_the_same_text_gives_the_same_language(documentation):
    words, language = documentation
    again = from_words(words, 1000)
    assert again.fingerprint == language.fingerprint
    np.testing.assert_array_equal(again.context, language.context)


def test_another_text_or_size_gives_another_fingerprint():
    words = split_words(TEXT)
    fingerprints = {from_words(words, 10).fingerprint, from_words(words, 9).fingerprint}
    fingerprints |= {from_words([*words, "the", "dog"], 10).fingerprint, from_words(words, 10).truncate(9).fingerprint}
    assert len(fingerprints) == 4


def test_the_last_word_of_a_passage_is_not_followed_by_the_first_of_the_next():
    passages = [["a", "b", "c"], ["b", "a"], ["c", "b", "a"]]
    whole = from_passages([[*passages[0], *passages[1], *passages[2]]], 3)
    apart, turned = from_passages(passages, 3), from_passages(passages[::-1], 3)
    assert apart.fingerprint == turned.fingerprint != whole.fingerprint


def test_the_fingerprint_of_a_text_stays_what_it_was():
    assert from_words(split_words(TEXT), 10).fingerprint.startswith("1b62371a270d880d")


def test_a_word_with_a_zero_vector_is_left_out_and_the_next_takes_its_place():
    words = ["a", "b", "c", "d"] * 30 + ["a", "b", "e", "c", "d", "aa"]  # nothing ever follows "aa"
    language = from_words(words, 5)
    assert language.surface == ("a", "b", "c", "d", "e")
    assert np.isfinite(language.context).all()


def random_words(distinct, count):
    return [f"w{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in np.random.default_rng(0).integers(distinct, size=count)]


@pytest.mark.parametrize("words", [DOCUMENTATION.split()[:300], DOCUMENTATION.split()[5000:5200], ["a", "b"] * 50])
@pytest.mark.parametrize("vocab_size", [1000, 150])
def test_the_size_that_is_suggested_works(words, vocab_size):
    with pytest.raises(SettingError) as error:
        from_words(words, vocab_size)
    suggested = int(re.search(r"Type vocab_size=(\d+),", str(error.value))[1])
    assert from_words(words, suggested).vocab_size == suggested < vocab_size


@pytest.mark.parametrize("words", [[f"word{n}" for n in range(200)], random_words(26**2, 300), ["a"] * 50])
def test_words_that_hardly_repeat_are_refused_without_a_suggestion(words):
    with pytest.raises(SettingError, match=r"no smaller size works either, because its words hardly repeat"):
        from_words(words, 100)


@pytest.mark.parametrize("chunk", [1, 7, 10**6])
def test_a_file_read_in_pieces_gives_the_language_of_the_whole(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("token_env.languages.corpus.CHUNK", chunk)
    text = TEXT + " naïve café\nnaïve café\u2028 café " + "naïvecafé" * 3
    path = tmp_path / "text.txt"
    path.write_text(text, encoding="utf-8-sig")
    assert find_language(f"text:{path}", 9).fingerprint == from_words(split_words(text), 9).fingerprint


def test_reading_for_long_prints_a_line_of_progress(tmp_path, monkeypatch, capsys):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    find_language(f"text:{path}", 9)
    assert capsys.readouterr().err == ""
    os.utime(path, ns=(2, 2))
    clock = iter(range(0, 1000, 3))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    find_language(f"text:{path}", 9)
    assert capsys.readouterr().err == "reading 'text.txt': 0 of 0 MB\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no words"),
        (b"12 34 --", "no words"),
        (b"\x00\x01binary", "not text"),
        (b"\xff\xfe\xfa", "not text"),
        (TEXT.encode(), "distinct words"),
    ],
)
def test_a_text_that_cannot_be_fitted_is_refused(tmp_path, content, message):
    path = tmp_path / "text"
    path.write_bytes(content)
    with pytest.raises(SettingError, match=message):
        find_language(f"text:{path}", 1000)


def test_a_missing_text_is_refused(tmp_path):
    with pytest.raises(SettingError, match="No such file"):
        find_language(f"text:{tmp_path / 'none.txt'}", 10)


def test_a_changed_text_is_fitted_again(text_file):
    before = find_language(f"text:{text_file}", 8)
    text_file.write_text(TEXT + "dog dog dog dog dog dog dog", encoding="utf-8")
    os.utime(text_file, ns=(1, 1))
    assert find_language(f"text:{text_file}", 8).fingerprint != before.fingerprint
