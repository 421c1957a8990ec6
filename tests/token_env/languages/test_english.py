import hashlib
import subprocess
import sys

import numpy as np
import pytest

from agents.runs.language_file import language_bytes, read_language
from token_env import Dynamics, SettingError, Task, find_language
from token_env.languages import english as bundle
from token_env.languages.english import BUNDLE, english, read_bundle
from token_env.languages.fit_english import fit_bundle, main, read_passages
from token_env.languages.text import from_passages

LICENCE = BUNDLE.parent / "LICENSE-WordNet"
DEFINITIONS = [
    'a small dog; the small house of a dog; "the dog runs to the house"',
    'the large house; a house of a large family; "a family runs the small house"',
    'to run to the house; "the large dog runs"; "a small family runs to a dog"',
    "the dog of a large family; a family dog",
]


@pytest.fixture
def wordnet(tmp_path):
    """A directory that looks like WordNet's."""
    directory = tmp_path / "wordnet"
    directory.mkdir()
    for name, gloss in zip(("noun", "verb", "adj", "adv"), DEFINITIONS, strict=True):
        lines = [
            "  1 This line of the licence has no gloss.  ",
            f"00001740 03 n 01 word 0 001 @ 00001930 n 0000 | {gloss}  ",
        ]
        (directory / f"data.{name}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return directory


def test_the_bundle_and_its_licence_come_with_the_package_and_are_small():
    assert BUNDLE.stat().st_size < 2_000_000
    assert "WordNet 3.0 Copyright 2006 by Princeton University" in LICENCE.read_text(encoding="utf-8")


def test_there_are_5000_words_and_all_differ():
    words = english(5000).surface
    assert len(set(words)) == 5000
    assert {"the", "of", "she", "water", "quickly", "physics"} <= set(words)
    assert all(word and word == word.lower() and not word.isspace() for word in words)


@pytest.mark.parametrize("vocab_size", [1000, 5000])
def test_nine_tenths_of_the_words_can_follow_some_other_word_within_the_budget(vocab_size):
    language = english(vocab_size)
    least = np.full(vocab_size, np.inf)
    for rows in np.array_split(np.arange(vocab_size), 20):
        surprisal = language.surprisals(rows)
        surprisal[np.arange(len(rows)), rows] = np.inf  # another word
        least = np.minimum(least, surprisal.min(axis=0))
    assert (least <= 5.0 + 1e-9).mean() >= 0.9  # the floor puts one word at 5.0 but for rounding


def test_sizes_nest():
    small, large = english(64), english(1000)
    assert small.surface == large.surface[:64]
    np.testing.assert_array_equal(small.context, large.context[:64])
    np.testing.assert_array_equal(small.meaning, large.meaning[:64])
    assert np.ptp(small.log_unigram - large.log_unigram[:64]) < 1e-12
    assert np.exp(small.log_unigram).sum() == pytest.approx(1.0)


def test_words_of_one_kind_are_neighbours():
    language = english(5000)
    for word, kind in (
        ("red", {"white", "green", "blue"}),
        ("three", {"four", "five", "six"}),
        ("she", {"he", "they"}),
    ):
        row = language.meaning[language.surface.index(word)]
        nearest = {language.surface[token] for token in np.argsort(-language.meaning @ row)[1:11]}
        assert kind <= nearest


def test_the_fingerprint_is_pinned():
    # Problems are drawn under it: another one means other problems on every machine.
    assert english(5000).fingerprint.startswith("970d4fd272d5e017")
    assert find_language("english", 1000).fingerprint.startswith("cc5d524587ed6729")


def test_problems_in_english_are_pinned():
    dynamics = Dynamics(Task(language="english", split="test"))
    message = dynamics.problems.draw(np.arange(1)).message[0]
    assert [dynamics.language.surface[token] for token in message[:6]] == [
        "across",
        "a",
        "plane",
        "about",
        "the",
        "name",
    ]


@pytest.mark.parametrize("vocab_size", [5001, 1, 0])
def test_more_words_than_the_bundle_has_are_refused(vocab_size):
    with pytest.raises(SettingError, match=f"has 5000 tokens, {vocab_size} were asked for; type vocab_size=5000"):
        find_language("english", vocab_size)


def test_a_damaged_bundle_is_refused(tmp_path, monkeypatch):
    content = bytearray(BUNDLE.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = tmp_path / "english.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(bundle, "BUNDLE", damaged)
    english.cache_clear()
    with pytest.raises(SettingError, match=r"damaged; reinstall tokentask"):
        find_language("english", 100)


def test_a_missing_bundle_is_refused(tmp_path):
    with pytest.raises(SettingError, match="cannot read the bundled English"):
        read_bundle(tmp_path / "none")


def test_the_bundle_holds_plain_whole_numbers_and_says_where_they_are_from():
    with np.load(BUNDLE, allow_pickle=False) as archive:
        assert {name: archive[name].dtype.str for name in ("counts", "context", "output")} == {
            "counts": "<i4",
            "context": "<i2",
            "output": "<i2",
        }
        assert b"wordnet-base" in archive["provenance"].tobytes()


def test_a_run_keeps_english_as_it_is():
    kept = read_language(language_bytes(english(1000)), "a run")
    assert kept.fingerprint == english(1000).fingerprint
    assert kept.surface == english(1000).surface
    np.testing.assert_array_equal(kept.context, english(1000).context)


def test_definitions_and_examples_are_passages_of_their_own(wordnet):
    passages = read_passages(wordnet)
    assert passages[:3] == [
        ["a", "small", "dog"],
        ["the", "small", "house", "of", "a", "dog"],
        ["the", "dog", "runs", "to", "the", "house"],
    ]
    assert len(passages) == 11


def test_rounding_to_the_bundle_changes_the_language_little(wordnet, tmp_path, monkeypatch):
    passages = read_passages(wordnet)
    content = fit_bundle(passages, 8, "a test")
    monkeypatch.setattr(bundle, "SHA256", hashlib.sha256(content).hexdigest())
    path = tmp_path / "bundle"
    path.write_bytes(content)
    stored, fitted = read_bundle(path), from_passages(passages, 8)
    assert stored.surface == fitted.surface
    np.testing.assert_allclose(stored.log_unigram, fitted.log_unigram, atol=1e-12)
    np.testing.assert_allclose(stored.context, fitted.context, atol=1e-3)
    np.testing.assert_allclose(stored.output, fitted.output, atol=1e-3)


def test_another_process_fits_the_same_bytes(wordnet, tmp_path):
    file = tmp_path / "file"
    command = [
        sys.executable,
        "-m",
        "token_env.languages.fit_english",
        wordnet,
        "--source",
        "a test",
        "--words",
        "8",
        "--out",
        file,
    ]
    finished = subprocess.run(command, capture_output=True, text=True, encoding="utf-8")
    assert finished.returncode == 0, finished.stderr
    assert file.read_bytes() == fit_bundle(read_passages(wordnet), 8, "a test")
    assert hashlib.sha256(file.read_bytes()).hexdigest() in finished.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none/data.noun': No such file"),
        (["wordnet"], "too few for vocab_size=5000"),
        (["wordnet", "--words", "8", "--out", "none/file"], "cannot write"),
    ],
)
def test_what_cannot_be_fitted_is_one_line_of_error(wordnet, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(wordnet.parent)
    monkeypatch.setattr(sys, "argv", ["fit_english", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_files_without_glosses_are_refused(wordnet):
    (wordnet / "data.adj").write_text("no bar\n", encoding="utf-8")
    with pytest.raises(SettingError, match=r"data\.adj' has no glosses"):
        read_passages(wordnet)
