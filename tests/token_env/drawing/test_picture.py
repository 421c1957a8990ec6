"""The picture of an episode: what is in it, where, and that its size depends on the task alone."""

from dataclasses import replace

import numpy as np
import pytest

from token_env.drawing.canvas import ellipsize, text_width, transliterate
from token_env.drawing.chart import AGENT, OFF_SCALE, OPTIMUM, return_range
from token_env.drawing.layout import CHART_HEIGHT, LEFT, ROW_HEIGHT, make_layout
from token_env.drawing.picture import DISFLUENT, surprisal_text
from token_env.env import TokenEnv
from token_env.episodes.batch import Batch
from token_env.languages.synthetic import synthetic


def make_env(max_steps=4, **keywords):
    env = TokenEnv(render_mode="rgb_array", vocab_size=64, max_steps=max_steps, **keywords)
    env.reset(options={"problem_id": 0})
    return env


def layout_of(env):
    return make_layout(env.language, env.task.max_steps)


def changed(before, after):
    """Where two pictures differ: bounds of the rows, bounds of the columns."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return (rows.min(), rows.max()), (columns.min(), columns.max())


def painted(picture, colour):
    return (picture == colour).all(axis=2)


def long_words():
    language = synthetic(64)
    return replace(language, surface=tuple(word * 9 for word in language.surface))


@pytest.mark.parametrize("length", [1, 30, 50])
@pytest.mark.parametrize("language", [synthetic(64), long_words()])
def test_the_size_depends_on_the_task_alone(length, language):
    env = make_env(length, language=language)
    shapes = {env.render().shape}
    for problem in (1, 2):
        env.reset(options={"problem_id": problem})
        for token in range(length):
            env.step(token)
        shapes.add(env.render().shape)
    ((height, width, channels),) = shapes
    assert channels == 3
    assert 400 <= height <= 800
    assert 700 <= width <= 1400
    assert env.render().dtype == np.uint8


@pytest.mark.parametrize("language", [synthetic(64), long_words()])
def test_width_and_height_are_even_at_every_length(language):
    sizes = np.array([make_layout(language, length).size for length in range(1, 80)])
    assert not (sizes % 2).any()


def test_what_was_said_appears_in_the_column_of_its_step():
    env = make_env()
    layout = layout_of(env)
    meaning = slice(layout.tops[1], layout.tops[1] + layout.dimension * layout.cell_height)
    for step, token in enumerate((3, 9)):
        before = env.render()
        env.step(token)
        rows, columns = changed(before[meaning], env.render()[meaning])
        assert rows == (0, layout.dimension * layout.cell_height - 1)
        left = LEFT + step * layout.column_width
        assert left - 1 <= columns[0] <= left
        assert (
            left + layout.column_width / 2 < columns[1] <= left + 2 * layout.column_width
        )  # the next column is due now


@pytest.mark.parametrize("language", [synthetic(64), long_words()])
def test_a_word_is_written_in_its_own_letters(language):
    env = make_env(language=language)
    token = int(env.problem.message[2])
    surface = list(language.surface)
    surface[token] = surface[token].replace(surface[token][0], "w")
    other = make_env(language=replace(language, surface=tuple(surface)))
    layout = layout_of(env)
    rows, columns = changed(env.render(), other.render())
    assert layout.tops[0] - layout.label_height <= rows[0] <= rows[1] < layout.tops[0]
    assert columns[0] >= LEFT + 2 * layout.column_width
    for each in (env, other):
        each.step(token)
    rows, columns = changed(env.render(), other.render())
    assert rows[1] < layout.tops[1]
    assert columns[0] < LEFT + layout.column_width


@pytest.mark.parametrize(
    ("word", "drawn"),
    [("Übergröße", "Ubergrosse"), ("naïve", "naive"), ("Łódź", "Lodz"), ("it’s", "it’s"), ("東京", None), ("да", None)],
)
def test_accents_are_left_out_and_words_in_other_letters_are_not_drawn(word, drawn):
    assert transliterate(word) == drawn


def test_a_word_without_drawable_letters_is_shown_by_its_rank():
    env = make_env()
    token = int(env.problem.message[0])

    def picture(form):
        surface = [form if rank == token else word for rank, word in enumerate(env.language.surface)]
        return make_env(language=replace(env.language, surface=tuple(surface))).render()

    np.testing.assert_array_equal(picture("да"), picture(f"#{token}"))


def test_a_long_word_is_cut_to_the_room_it_has():
    assert ellipsize("internationalisation", 14, 60).endswith("…")
    assert text_width(ellipsize("internationalisation", 14, 60), 14) <= 60
    assert ellipsize("word", 14, 60) == "word"


def test_a_token_beyond_the_budget_is_red():
    env = make_env()
    surprisal = env.language.surprisals(np.array([env.problem.start]))[0]
    for token, red in ((surprisal.argmax(), True), (surprisal.argmin(), False)):
        env.reset(options={"problem_id": 0})
        env.step(int(token))
        layout = layout_of(env)
        said = slice(layout.tops[1] - layout.label_height, layout.tops[1])
        surprisals = slice(layout.tops[3], layout.tops[3] + ROW_HEIGHT)
        for rows in (said, surprisals):
            assert painted(env.render()[rows, LEFT : LEFT + layout.column_width], DISFLUENT).any() == red


@pytest.mark.parametrize(
    ("surprisal", "text"), [(5.04, "5.1"), (4.96, "4.9"), (5.0, "5.0"), (0.0, "0.0"), (12.6, "13")]
)
def test_the_number_of_a_surprisal_is_on_its_side_of_the_budget(surprisal, text):
    assert surprisal_text(surprisal, 5.0) == text


def curve_height(picture, layout, colour, step):
    """Where a curve passes the middle of a step's column, in pixels from the top of the chart."""
    column = picture[layout.tops[-1] : layout.tops[-1] + CHART_HEIGHT, int(layout.middle(step)) - 1]
    return np.abs(column.astype(float) - colour).sum(axis=1).argmin()


def test_the_return_panel_shows_the_optimum_from_the_start_and_the_return_up_to_now(monkeypatch):
    monkeypatch.setattr(Batch, "optimal_tokens", lambda batch, row: batch.problem(row).message)
    env = make_env(noise=0.0, fluency_scale=0.0)  # saying the message itself is the best answer
    layout = layout_of(env)
    best = 0.12 * env.problem.weights.cumsum()
    low, high, _ = return_range(best)
    expected = CHART_HEIGHT * (high - best) / (high - low)
    drawn = [curve_height(env.render(), layout, OPTIMUM, step) for step in range(4)]
    np.testing.assert_allclose(drawn, expected, atol=1.5)
    assert not painted(env.render()[layout.tops[-1] :], AGENT).any()
    for token in env.problem.message[:2]:
        env.step(int(token))
    assert curve_height(env.render(), layout, AGENT, 1) == pytest.approx(expected[1], abs=1.5)
    assert not painted(env.render()[layout.tops[-1] :, int(layout.middle(1)) + 4 :], AGENT).any()


def test_a_return_far_below_the_optimum_is_cut_off_with_a_mark():
    env = make_env()
    layout = layout_of(env)
    marks = painted(env.render()[layout.tops[-1] + CHART_HEIGHT :], OFF_SCALE)
    assert not marks.any()
    for _ in range(3):
        env.step(int(env.language.surprisals(env._batch.state.previous)[0].argmax()))
    marks = painted(env.render()[layout.tops[-1] + CHART_HEIGHT :], OFF_SCALE)
    assert [marks[:, int(layout.middle(step))].any() for step in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("best", [[0.1, 2.87], [0.0, 0.0], [-1.0, -3.0], [0.07], [1e4], [2.0, 1.0]])
def test_the_scale_holds_the_best_answer_and_zero_between_round_numbers(best):
    low, high, tick = return_range(np.array(best))
    assert low <= min(0.0, min(best) / 2) < max(0.0, *best) <= high or max(best) <= 0 < high
    for bound in (low, high):
        assert bound / tick == pytest.approx(round(bound / tick))
    assert 3 <= (high - low) / tick <= 10


@pytest.mark.parametrize(("mode", "solved"), [("ansi", 0), ("rgb_array", 2)])
def test_the_optimum_is_found_once_an_episode_and_only_for_pictures(monkeypatch, mode, solved):
    calls = []
    monkeypatch.setattr(Batch, "optimal_tokens", lambda batch, row: calls.append(row) or batch.problem(row).message)
    env = TokenEnv(render_mode=mode, vocab_size=64, max_steps=3)
    for _ in range(2):
        env.reset()
        for token in range(3):
            env.render()
            env.step(token)
    assert len(calls) == solved
