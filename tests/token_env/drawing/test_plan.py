"""How a policy weighs the tokens of a step, in tables as text and in a picture."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from token_env import REFERENCES, Task, evaluate
from token_env.drawing.as_text import cell_width, columns, draw_words, without_colours
from token_env.drawing.layout import EDGE, GAP, LEFT, make_layout
from token_env.drawing.picture import draw_pixels
from token_env.drawing.plan import MAX_ROWS, StepLogits, candidates
from token_env.drawing.plan_panel import TABLE_HEIGHT, panel_height
from token_env.drawing.plan_text import plan_text
from token_env.env import TokenEnv
from token_env.rules.dynamics import Dynamics

STRANGE = ("antidisestablishmentarianism", "日本語の長い単語です", "नमस्ते", "e\u0301te\u0301", "__getattribute__", "a")


def step_logits(vocab_size=64, chosen=None, seed=0):
    now, later = 30 * np.random.default_rng(seed).normal(size=(2, vocab_size)).astype(np.float32)
    return StepLogits(now, now + later, int((now + later).argmax()) if chosen is None else chosen)


def test_the_best_are_shown_then_the_word_due_and_the_chosen_with_their_ranks():
    logits = StepLogits(np.zeros(9, np.float32), np.array([3, 9, 1, 8, 0, 7, 6, 5, 4], np.float32), chosen=2)
    rows = candidates(logits, due=4)
    assert [(row.token, row.rank) for row in rows] == [(1, 1), (3, 2), (5, 3), (6, 4), (7, 5), (2, 8), (4, 9)]
    assert [row.token for row in rows if row.due] == [4]
    assert [row.token for row in rows if row.chosen] == [2]
    assert len(rows) == MAX_ROWS
    assert [row.token for row in candidates(logits._replace(chosen=1), due=3)] == [1, 3, 5, 6, 7]


def test_numbers_are_what_is_added_and_masked_tokens_have_none():
    logits = StepLogits(np.array([1.5, -2000, -np.inf]), np.array([3.5, -2000, -np.inf]), chosen=0)
    numbers = [row.numbers for row in candidates(logits, due=2)]
    assert numbers == [("+1.5", "+2.0", "+3.5"), ("-2000", "+0.0", "-2000"), ("", "", "masked")]


@pytest.fixture
def strange_language():
    language = Dynamics(Task(vocab_size=64)).language
    return dataclasses.replace(language, surface=STRANGE + language.surface[len(STRANGE) :])


@pytest.mark.parametrize(("width", "across"), [(80, 2), (120, 3), (30, 1)])
def test_tables_stand_side_by_side_whatever_the_words(monkeypatch, strange_language, width, across):
    monkeypatch.setenv("COLUMNS", str(width))
    message, steps = np.arange(5), [step_logits(seed=seed) for seed in range(5)]
    lines = without_colours(plan_text(strange_language, message, steps)).split("\n")
    headings = [line for line in lines if "total" in line]
    assert [line.count("total") for line in headings] == [min(across, 5 - first) for first in range(0, 5, across)]
    assert max(map(cell_width, lines)) <= max(width, 38)
    ends = {cell_width(line) for line in lines if line.count("+") + line.count("-") >= 3 * across}
    assert len(ends) == 1  # full rows end in the same column


def test_words_of_wide_letters_and_combining_marks_are_aligned():
    rows = (["日本", "x"], ["नमस्ते", "y"], ["ab", "z"])
    lines = [without_colours(line) for line in columns(("a", "b", "c"), rows, [["", ""]] * 3)]
    assert [cell_width(line.rstrip("xyz")) for line in lines] == [8, 8, 8]


def test_places_where_answers_differ_are_marked():
    dynamics = Dynamics(Task(vocab_size=64, max_steps=8, split="test"))
    problem = dynamics.problems.draw(np.arange(1)).single(0)
    answer = evaluate(REFERENCES["greedy"], [0], task=dynamics.task).actions[0]
    other = answer.copy()
    other[[2, 5]] = (other[[2, 5]] + 1) % 64
    first, second, marks = (without_colours(x) for x in draw_words(dynamics, problem, {"p": answer, "q": other})[1:])
    starts = [place for place, (before, after) in enumerate(pairwise(second)) if before == " " != after]
    assert first.startswith("p ")
    assert [place for place, mark in enumerate(marks) if mark == "^"] == [starts[2] + 1, starts[5] + 1]
    assert len(draw_words(dynamics, problem, {"p": answer, "q": answer})) == 3  # no row of marks


def played(step):
    env = TokenEnv(vocab_size=64, max_steps=8)
    env.reset(options={"problem_id": 0})
    for token in range(step):
        env.step(token)
    return env._batch


def test_a_picture_has_room_for_a_table_of_every_step():
    batch, steps = played(3), [step_logits(seed=seed) for seed in range(4)]
    layout = make_layout(batch.dynamics.language, 8)
    without, empty, some = draw_pixels(batch, 0), draw_pixels(batch, 0, []), draw_pixels(batch, 0, steps)
    assert some.shape == empty.shape == (without.shape[0] + panel_height(layout), *without.shape[1:])
    np.testing.assert_array_equal(some[: without.shape[0]], empty[: without.shape[0]])
    top = layout.size[1] - EDGE + 2 * GAP
    assert (some[top:, LEFT:] != empty[top:, LEFT:]).any()
    full = draw_pixels(played(8), 0, [step_logits(chosen=63)] * 8)
    assert (full[top + 3 * TABLE_HEIGHT : -8] != 255).any()
    assert (full[-8:] == 255).all()


def test_long_words_stay_in_their_table(strange_language):
    batch = played(0)
    batch.dynamics.language = strange_language
    pixels = draw_pixels(batch, 0, [step_logits(6, seed=seed) for seed in range(2)])
    layout = make_layout(strange_language, 8)
    top, width = layout.size[1] - EDGE + 2 * GAP, (layout.size[0] - LEFT - EDGE + 14) // 2
    assert (pixels[top + 3 : top + TABLE_HEIGHT, LEFT + width - 8 : LEFT + width] == 255).all()
