from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from token_env import Dynamics, SettingError, Task
from token_env.languages.chain import ChainSampler, chain_sampler
from token_env.languages.language import from_arrays
from token_env.languages.synthetic import synthetic
from token_env.rules.problems import ENDLESS, SPLITS, ProblemSampler, ProblemStream, content_class

GOLDEN = Path(__file__).parents[2] / "golden" / "problems.npz"
ids_in_any_split = st.lists(st.integers(0, ENDLESS - 1), min_size=1, max_size=12, unique=True)


def sampler(vocab_size=64, split="train", length=8, noise=0.3, num_problems=None):
    return ProblemSampler(synthetic(vocab_size), split, length, noise, num_problems)


def golden_problems():
    return sampler(1000, "test", 30).draw(np.arange(100))


def test_the_first_hundred_problems_are_those_of_the_golden_file():
    problems = golden_problems()
    with np.load(GOLDEN) as golden:
        np.testing.assert_array_equal(problems.start, golden["start"])
        np.testing.assert_array_equal(problems.message, golden["message"])
        np.testing.assert_allclose(problems.meanings[:, :6], golden["meanings"], atol=1e-5)
        np.testing.assert_allclose(problems.weights, golden["weights"], rtol=1e-9)


@given(ids_in_any_split)
def test_a_problem_is_the_same_in_every_batch(ids):
    whole = sampler().draw(np.array(ids))
    for place, problem_id in enumerate(ids):
        alone = sampler().draw(np.array([problem_id]))
        for field, single in zip(whole, alone, strict=True):
            np.testing.assert_array_equal(field[place], single[0])


@given(ids_in_any_split, st.integers(1, 20))
def test_a_stream_hands_out_the_problems_of_the_sampler(ids, steps):
    source = sampler()
    stream = ProblemStream(source, len(ids))
    rows, wanted = np.arange(len(ids)), np.array(ids) // 2
    for _ in range(steps):
        taken = stream.take(rows, wanted)
        for field, expected in zip(taken, source.draw(wanted), strict=True):
            np.testing.assert_array_equal(field, expected)
        wanted = wanted + 1


@pytest.mark.parametrize("length", [1, 3, 8, 12])
def test_splits_are_disjoint_by_content(length):
    hashed = min(length, 8)
    contents = {}
    for split, classes in SPLITS.items():
        problems = sampler(30, split, length).draw(np.arange(800))
        prefix = np.column_stack([problems.start, problems.message[:, :hashed]])
        assert set(content_class(prefix).tolist()) <= set(classes)
        contents[split] = set(map(bytes, prefix))
    assert not contents["train"] & contents["validation"]
    assert not contents["train"] & contents["test"]
    assert not contents["validation"] & contents["test"]


def test_splits_take_their_shares_of_all_messages():
    generator = np.random.default_rng(0)
    share = np.bincount(content_class(generator.integers(1000, size=(64_000, 9))), minlength=16) / 64_000
    assert share == pytest.approx(1 / 16, abs=0.005)


def test_a_longer_message_begins_with_the_shorter_one_of_at_least_eight_tokens():
    short, long = sampler(length=8).draw(np.arange(40)), sampler(length=20).draw(np.arange(40))
    np.testing.assert_array_equal(long.message[:, :8], short.message)
    np.testing.assert_array_equal(long.meanings[:, :8], short.meanings)


def test_noise_changes_the_meanings_but_not_the_message():
    quiet, loud = sampler(noise=0.0).draw(np.arange(20)), sampler(noise=0.6).draw(np.arange(20))
    np.testing.assert_array_equal(quiet.message, loud.message)
    np.testing.assert_allclose(quiet.meanings, synthetic(64).meaning[quiet.message], atol=1e-6)
    assert not np.allclose(quiet.meanings, loud.meanings)


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_meanings_that_are_a_little_too_long_stay_within_the_bounds_of_an_observation(noise):
    axes = np.eye(3) * (1 + 4e-6)
    language = from_arrays(np.log([0.5, 0.3, 0.2]), context=axes, output=axes)
    meanings = ProblemSampler(language, "train", 8, noise).draw(np.arange(50)).meanings
    assert np.abs(meanings).max() <= 1.0


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_jitter_has_the_stated_size_and_unit_meanings(noise):
    problems = sampler(1000, length=30, noise=noise).draw(np.arange(300))
    assert np.linalg.norm(problems.meanings, axis=-1) == pytest.approx(1.0, abs=1e-6)
    cosine = np.vecdot(problems.meanings, synthetic(1000).meaning[problems.message])
    # unit(m + σ ε/√d) has squared cosine (1 + σ e)² / |m + σ ε/√d|² with e ~ N(0, 1/d)
    generator = np.random.default_rng(1)
    jitter = noise * generator.normal(size=(100_000, 16)) / 4
    jitter[:, 0] += 1
    expected = jitter[:, 0] / np.linalg.norm(jitter, axis=1)
    assert cosine.mean() == pytest.approx(expected.mean(), abs=0.005)
    assert cosine.std() == pytest.approx(expected.std(), rel=0.05)


def test_at_the_default_noise_the_nearest_token_is_the_word_itself():
    problems = sampler(1000, length=30).draw(np.arange(100))
    assert (synthetic(1000).nearest(problems.meanings) == problems.message).mean() > 0.999


def test_message_vocab_plays_the_problems_of_the_smaller_vocabulary():
    large = Dynamics(Task(vocab_size=500, message_vocab=64, split="test"))
    small = Dynamics(Task(vocab_size=64, split="test"))
    for field, expected in zip(large.problems.draw(np.arange(30)), small.problems.draw(np.arange(30)), strict=True):
        np.testing.assert_allclose(field, expected, rtol=1e-9)


@pytest.mark.parametrize("vocab_size", [2, 3, 64, 1000, 5000])
def test_the_chain_draws_tokens_with_the_probabilities_of_the_language(vocab_size):
    language, count = synthetic(vocab_size), 200_000
    previous = min(3, vocab_size - 1)
    u = (np.arange(count) + 0.5) / count  # even steps: counts differ from their expectation by less than 1
    drawn = np.bincount(chain_sampler(language).next(np.full(count, previous), u), minlength=vocab_size)
    scores = language.context[previous] @ language.output.T + language.log_unigram
    expected = count * np.exp(scores - language.log_normalizer[previous])
    assert np.abs(drawn - expected).max() <= 1.0
    first = np.bincount(chain_sampler(language).first(u), minlength=vocab_size)
    assert np.abs(first - count * np.exp(language.log_unigram)).max() <= 1.0


def test_random_uniforms_give_a_sample_that_passes_a_chi_square_test():
    language = synthetic(64)
    drawn = ChainSampler(language).next(np.full(50_000, 5), np.random.default_rng(2).random(50_000))
    probability = np.exp(language.context[5] @ language.output.T + language.log_unigram - language.log_normalizer[5])
    common = probability * 50_000 > 5
    observed = np.bincount(drawn, minlength=64)
    counts = np.append(observed[common], observed[~common].sum())
    expected = 50_000 * np.append(probability[common], probability[~common].sum())
    assert stats.chisquare(counts[expected > 0], expected[expected > 0]).pvalue > 1e-3


def test_uniforms_at_the_ends_of_their_range_give_tokens_of_the_vocabulary():
    for vocab_size in (2, 67, 5000):
        chain = chain_sampler(synthetic(vocab_size))
        ends = np.array([0.0, np.nextafter(1.0, 0.0)])
        for token in (*chain.next(np.array([0, vocab_size - 1]), ends), *chain.first(ends)):
            assert 0 <= token < vocab_size


@pytest.mark.parametrize("wrong", [-1, 5, 1.5, "x"])
def test_problem_ids_outside_the_split_are_refused(wrong):
    with pytest.raises(SettingError, match="problem id"):
        sampler(num_problems=5).validate_ids(wrong)


def test_a_split_without_messages_is_refused():
    with pytest.raises(SettingError, match="is empty"):
        [sampler(2, split, 1).draw(np.arange(8)) for split in SPLITS]
