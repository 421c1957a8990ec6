"""A served model says what its agent says, alone or beside others, whenever a request joins."""

import asyncio

import numpy as np
import pytest

from agents.evaluation.agent import Player as AgentPlayer
from agents.serving import messages
from agents.serving.deployment import Deployment
from agents.serving.metrics import Metrics
from agents.serving.player import Batching, Player
from token_env import Task, evaluate
from token_env.errors import SettingError


def player_of(deployment, variant="B", **batching):
    return Player(deployment, variant, Batching(**batching), Metrics())


def rows_in_calls(player):
    samples = player._metrics.rows.labels(player._variant)
    return samples._sum.get(), sum(bucket.get() for bucket in samples._buckets)


async def say_all(player, deployment, problems, pause=0):
    async def say(problem):
        for _ in range(pause * problem):  # so that each joins at another token
            await asyncio.sleep(0)
        return await player.say(messages.from_problem(deployment, problem))

    return await asyncio.gather(*map(say, problems))


@pytest.mark.parametrize("kind", ["plain", "masked", "recurrent"])
@pytest.mark.parametrize(("rows", "pause"), [(64, 0), (64, 2), (3, 1), (1, 0)])
def test_a_served_model_says_what_its_agent_says(exported, models, answers, kind, rows, pause):
    deployment = Deployment(models("plain"), models(kind))
    task = Task(vocab_size=64, max_steps=8, split="test")
    expected = evaluate(AgentPlayer(exported[kind][0], ranks=64), range(10), task=task)
    found = answers(say_all(player_of(deployment, rows=rows), deployment, range(10), pause))
    for answer, tokens, earned in zip(found, expected.actions, expected.returns, strict=True):
        assert answer.tokens.tolist() == tokens.tolist()
        assert answer.total_return == pytest.approx(earned)


def test_the_numbers_of_an_answer_are_those_of_its_episode(models, answers):
    deployment = Deployment(models("plain"))
    (answer,) = answers(say_all(player_of(deployment, "A"), deployment, [5]))
    dynamics = deployment.dynamics
    problems = dynamics.problems.draw(np.array([5]))
    state = dynamics.initial(problems)
    for t, token in enumerate(answer.tokens):
        before, state = state, dynamics.transition(problems, state, np.array([token])).next_state
        assert answer.adequacy[t] == pytest.approx(state.adequacy[0] - before.adequacy[0])
        assert answer.surprisal[t] == pytest.approx(dynamics.language.surprisal(before.previous, state.previous)[0])
        assert answer.cosine[t] == pytest.approx(dynamics.language.meaning[token] @ problems.meanings[0, t])


def test_requests_share_calls(models, answers):
    deployment = Deployment(models("plain"))
    shared, alone = player_of(deployment, "A", rows=64), player_of(deployment, "A", rows=1)
    answers(say_all(shared, deployment, range(20)))
    answers(say_all(alone, deployment, range(20)))
    assert rows_in_calls(shared) == (160, 8)
    assert rows_in_calls(alone) == (160, 160)


@pytest.mark.parametrize("length", [1, 3, 8])
def test_a_shorter_message_is_an_episode_of_its_length_also_beside_longer_ones(exported, models, answers, length):
    deployment = Deployment(models("plain"))
    words = [deployment.dynamics.language.surface[token] for token in range(20, 20 + length)]
    player = player_of(deployment, "A")

    async def say():
        longer = [player.say(messages.from_problem(deployment, problem)) for problem in range(3)]
        return (await asyncio.gather(player.say(messages.from_text(deployment, " ".join(words))), *longer))[0]

    answer = answers(say())
    agent = exported["plain"][0]
    dynamics = deployment.dynamics_of_length(length)
    problems = messages.from_text(deployment, " ".join(words)).problems
    seen = player._new_rows([messages.from_text(deployment, " ".join(words))], [None]).due[0, : length + 1]
    np.testing.assert_array_equal(seen, dynamics.due(problems)[0])  # its clock is at 1 after its last word
    state, tokens = dynamics.initial(problems), []
    for _ in range(length):
        logits = agent.distribution(dynamics.observe(problems, state))[0].distribution.logits
        tokens.append(int(logits.argmax()))
        state = dynamics.transition(problems, state, np.array(tokens[-1:])).next_state
    assert answer.tokens.tolist() == tokens
    assert answer.message.tolist() == list(range(20, 20 + length))
    assert answer.total_return == pytest.approx(float(state.adequacy[0] - state.fluency_penalty[0]))


def test_meanings_of_words_are_answered_like_the_words(models, answers):
    deployment = Deployment(models("plain"))
    meanings = 7.0 * deployment.dynamics.language.meaning[[4, 9, 30]]
    text = messages.from_text(deployment, " ".join(deployment.dynamics.language.surface[token] for token in (4, 9, 30)))
    player = player_of(deployment, "A")

    async def both():
        given = messages.from_meanings(deployment, meanings.tolist())
        return await asyncio.gather(player.say(given), player.say(text))

    by_meaning, by_word = answers(both())
    assert by_meaning.tokens.tolist() == by_word.tokens.tolist()
    assert by_meaning.message.tolist() == [4, 9, 30]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the message has 0 words; it must have from 1 to 8."),
        ("the " * 9, "the message has 9 words"),
        ("the xylofone", "not among the 64 words of the language: 'xylofone'"),
        ("uf " + "x" * 5000, r"not among the 64 words .*\.\.\."),
    ],
)
def test_a_text_that_is_no_message_is_refused(models, text, message):
    with pytest.raises(SettingError, match=message):
        messages.from_text(Deployment(models("english")), text)


@pytest.mark.parametrize(
    ("meanings", "message"),
    [
        ([], "the message has 0 meanings"),
        ([[1.0] * 15], "a meaning has 16 numbers"),
        ([[0.0] * 16], "not all 0"),
        ([[float("inf")] * 16], "finite numbers"),
    ],
)
def test_meanings_that_are_no_message_are_refused(models, meanings, message):
    with pytest.raises(SettingError, match=message):
        messages.from_meanings(Deployment(models("plain")), meanings)


def test_meanings_of_any_size_have_a_direction(models):
    deployment = Deployment(models("plain"))
    large, small = (messages.from_meanings(deployment, [[size] * 16]).problems for size in (1e308, 1e-300))
    np.testing.assert_allclose(large.meanings, 0.25)
    np.testing.assert_allclose(small.meanings, 0.25)


def test_a_request_that_was_given_up_leaves_no_trace(models, answers):
    deployment = Deployment(models("plain"))
    player = player_of(deployment, "A", rows=1)

    async def give_up():
        tasks = [asyncio.create_task(player.say(messages.from_problem(deployment, problem))) for problem in range(3)]
        await asyncio.sleep(0)
        tasks[1].cancel()
        kept = await asyncio.gather(tasks[0], tasks[2])
        return len(kept), player.queued, player._open

    assert answers(give_up()) == (2, 0, set())


def test_an_error_of_a_model_reaches_all_who_wait_and_the_next_are_answered(models, answers, monkeypatch):
    deployment = Deployment(models("plain"))
    player = player_of(deployment, "A")

    def fail(*_):
        raise RuntimeError("broken")

    async def fail_once():
        with monkeypatch.context() as patch:
            patch.setattr(player.model, "logits", fail)
            waiting = [asyncio.create_task(player.say(messages.from_problem(deployment, 1))) for _ in range(5)]
            errors = await asyncio.gather(*waiting, return_exceptions=True)
        return errors, await player.say(messages.from_problem(deployment, 1))

    errors, answer = answers(fail_once())
    assert [str(error) for error in errors] == ["broken"] * 5
    assert len(answer.tokens) == 8
