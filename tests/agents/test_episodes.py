"""Episodes of runs as datasets."""

import dataclasses

import minari
import numpy as np
import pytest

import agents
from agents.training.fit import fit
from tests.support.settings import quick_settings
from tests.support.text import TEXT
from token_env import evaluate
from token_env.rules import rewards
from token_env.rules.task import with_split


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return fit(quick_settings(), tmp_path_factory.mktemp("episodes") / "run", progress=False).run


def test_a_run_is_written_as_it_plays(trained, run, tmp_path):
    code, out, error = run(f"episodes {trained} --split test --problems 5 --out greedy")
    assert code == 0, error
    assert out.startswith("greedy: 5 episodes of 8 steps")
    dataset = minari.MinariDataset(tmp_path / "greedy" / "data")
    agent = agents.load(trained)
    played = evaluate(agent.greedy, range(5), task=dataclasses.replace(with_split(agent.task, "test"), optimum=True))
    np.testing.assert_array_equal([episode.actions for episode in dataset], played.actions)
    assert dataset.recover_environment().unwrapped.task == with_split(agent.task, "test")
    assert dataset.storage.metadata["algorithm_name"] == agent.settings.algorithm


def test_sampled_tokens_are_other_ones_and_the_same_each_time(trained, run, tmp_path):
    for name, option in (("greedy", ""), ("first", "--sampled"), ("second", "--sampled")):
        assert run(f"episodes {trained} --problems 5 --out {name} {option}")[0] == 0
    greedy, first, second = (
        [episode.actions.tolist() for episode in minari.MinariDataset(tmp_path / name / "data")]
        for name in ("greedy", "first", "second")
    )
    assert first == second != greedy


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("none", "'none' is no directory of a run"),
        ("greedy", "'greedy' is a reference policy, not a run; type the directory of a run, or python -m token_env."),
        ("RUN --problems 0", "at least 1"),
        ("RUN --split tests", "Did you mean 'test'?"),
        ("RUN --out taken", "'taken' exists already"),
    ],
)
def test_wrong_input_gives_one_message_and_no_file(line, message, trained, run, tmp_path):
    (tmp_path / "taken").mkdir()
    code, _, error = run(f"episodes --out new {line}".replace("RUN", str(trained)))
    assert code == 2
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_a_language_or_reward_that_its_name_no_longer_gives_is_refused(run, tmp_path, monkeypatch, text_file):
    language = {"language": f"text:{text_file}", "vocab_size": 6}
    fit(quick_settings(env=language), tmp_path / "text", progress=False)
    text_file.write_text(TEXT.replace("e", "o"), encoding="utf-8")
    monkeypatch.setattr(rewards, "_imported", {"mine:reward": lambda t: t.adequacy})
    fit(quick_settings(env={"reward": "mine:reward"}), tmp_path / "reward", progress=False)
    for name, message in (("text", "is no longer the language of the run"), ("reward", "a user's function")):
        code, _, error = run(f"episodes {name} --out new")
        assert code == 2
        assert message in error
