"""A curriculum: what decides the level, what the training then plays, and that the task itself stays what counts."""

import dataclasses
import json

import numpy as np
import pytest
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import agents
from agents.algorithms.vec_env import TokenVecEnv, task_keywords
from agents.settings.layers import make_settings, preset_layer, read_layer
from agents.training.curriculum import Curriculum, CurriculumState, Schedule
from agents.training.fit import fit
from tests.support.environments import assert_same
from token_env import Dynamics, SettingError, Task, evaluate

SHORT = {"device": "cpu", "episodes": 80, "ppo": {"n_envs": 8, "batch_size": 64}, "evaluation": {"problems": 5}}


def schedule(episodes=80, **chosen):
    return Schedule(make_settings(preset_layer("tiny"), {"episodes": episodes, "curriculum": chosen}))


def levels_of(plan, episodes, count, returned):
    """The level of each round of `count` episodes that return so much, and the state after the last."""
    state, played = plan.begin(count), []
    for ended in range(count, episodes + 1, count):
        played.append(state.playing)
        state = plan.advance(state, [returned] * count, ended)
    return played, state


def test_the_level_rises_when_the_window_reaches_the_goal_and_waits_for_a_whole_one():
    plan = schedule(episodes=10_000, window=8, threshold=0.5)
    assert plan.goal == pytest.approx(0.5 * 0.12 * 8)
    state = plan.advance(CurriculumState(), [plan.goal] * 4, played=4)
    assert (state.playing, state.coming, len(state.recent)) == (0, 0, 4)
    state = plan.advance(state, [plan.goal] * 4, played=8)
    assert (state.playing, state.coming, state.recent) == (0, 1, ())
    low = plan.advance(CurriculumState(recent=(0.0,) * 8), [plan.goal] * 4, played=12)
    assert (low.coming, len(low.recent)) == (0, 8)


def test_episodes_that_began_before_the_level_rose_do_not_count():
    plan = schedule(episodes=10_000, window=4, threshold=0.5)
    state = plan.advance(CurriculumState(playing=0, coming=1), [9.0] * 4, played=8)
    assert (state.playing, state.coming, state.recent) == (1, 1, ())
    assert plan.advance(state, [9.0] * 4, played=12).coming == 2


@pytest.mark.parametrize(("episodes", "count"), [(8, 8), (16, 8), (80, 8), (2000, 40), (90, 30), (100, 1)])
@pytest.mark.parametrize("returned", [-100.0, 100.0])
def test_the_last_part_is_the_task_itself_whatever_the_returns(episodes, count, returned):
    plan = schedule(episodes=episodes)
    played, state = levels_of(plan, episodes, count, returned)
    assert played == sorted(played)
    ends = count * np.arange(1, len(played) + 1)
    assert all(np.array(played)[ends > episodes / 2] == 4)
    assert state.full_from == count * played.index(4)
    if episodes >= 100:
        assert played[0] == 0
        assert set(played) == set(range(5))


def test_good_returns_lead_to_the_task_sooner():
    plan = schedule(episodes=2000)
    assert levels_of(plan, 2000, 40, 100.0)[1].full_from < levels_of(plan, 2000, 40, -100.0)[1].full_from == 1000


def test_levels_lead_from_the_first_to_the_task():
    levels = schedule(message_vocab=4, levels=3).levels
    assert levels == [(0.0, 4), (pytest.approx(0.15), 16), (pytest.approx(0.3), 64)]
    assert schedule().levels[0].message_vocab == 6
    assert schedule(noise=0.03).levels[-1] == (0.3, 64)  # to the last digit, which 0.03 + (0.3 - 0.03) misses


@pytest.mark.parametrize(("name", "value", "most"), [("message_vocab", 65, "64"), ("noise", 0.4, r"0\.3")])
def test_a_first_level_harder_than_the_task_is_refused_before_anything_is_written(name, value, most, tmp_path):
    settings = make_settings(preset_layer("tiny"), SHORT, {"curriculum": {"enabled": True, name: value}})
    with pytest.raises(SettingError, match=rf"curriculum\.{name}={value} is harder than the task, whose .* is {most};"):
        fit(settings, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_the_tasks_own_message_vocabulary_is_where_the_levels_end():
    settings = make_settings(preset_layer("tiny"), {"env": {"message_vocab": 30}})
    assert [level.message_vocab for level in Schedule(settings).levels] == [3, 5, 9, 17, 30]


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A short run with a curriculum."""
    settings = make_settings(preset_layer("tiny"), SHORT, {"curriculum": {"enabled": True, "threshold": 9.0}})
    return fit(settings, tmp_path_factory.mktemp("runs") / "run", progress=False)


def test_the_difficulty_is_recorded_with_every_update_and_in_tensorboard(finished):
    updates = agents.load_metrics(finished.run).updates
    assert updates.level.tolist() == [0, 0, 1, 2, 3, 4, 4, 4, 4, 4]
    assert updates.noise.to_numpy() == pytest.approx(0.3 * updates.level.to_numpy() / 4)
    assert updates.message_vocab.tolist()[::4] == [6, 35, 64]
    events = EventAccumulator(str(finished.run / "tensorboard")).Reload()
    told = [event.value for event in events.Scalars("curriculum/level")]
    assert told == updates.level.tolist()
    assert finished.summary.full_difficulty_from == 40


class Watcher(BaseCallback):
    """Notes after each step which level the state tells, and what is played."""

    def __init__(self, curriculum):
        super().__init__()
        self.curriculum, self.seen = curriculum, []

    def _on_step(self):
        task, problems = (self.training_env.get_attr(name)[0] for name in ("task", "problems"))
        self.seen.append((self.curriculum.state.playing, task, problems))
        return True


def test_training_plays_the_problems_of_the_level():
    settings = make_settings(preset_layer("tiny"), SHORT, {"curriculum": {"threshold": 9.0}})
    env = TokenVecEnv(8, **task_keywords(settings.env))
    plan = Schedule(settings)
    curriculum = Curriculum(plan, env)
    watcher = Watcher(curriculum)
    PPO("MlpPolicy", env, n_steps=8, n_epochs=1, device="cpu").learn(80 * 8, callback=[curriculum, watcher])
    assert {level for level, *_ in watcher.seen} == set(range(5))
    for level, task, problems in watcher.seen:
        expected = dataclasses.replace(settings.env, **plan.levels[level]._asdict())
        assert dataclasses.replace(task, language="synthetic") == expected
        assert_same(problems, Dynamics(expected).problems.draw(problems.ids))


def test_evaluations_have_full_difficulty(finished):
    task = agents.load(finished.run).task
    assert (task.noise, task.message_vocab) == (0.3, None)
    expected = evaluate(finished.agent.greedy, range(5), task=Task(vocab_size=64, max_steps=8, split="test"))
    told = json.loads((finished.run / "summary.json").read_text())
    assert told["evaluation"]["agent (greedy)"]["mean_return"] == pytest.approx(expected.mean_return)
    seen = agents.load_metrics(finished.run).episodes.problem_id.tolist()[-5:]
    expected = evaluate(finished.agent.greedy, seen, task=task)
    assert told["training_problems"]["mean_return"] == pytest.approx(expected.mean_return)


def test_the_same_seed_gives_the_same_run(finished, tmp_path):
    again = fit(make_settings(read_layer(str(finished.run / "config.yaml"))), tmp_path / "run", progress=False)
    ours, theirs = (agents.load_metrics(result.run).episodes for result in (finished, again))
    assert ours["return"].tolist() == theirs["return"].tolist()


def test_a_run_without_a_curriculum_plays_the_task_throughout(tmp_path):
    run = fit(make_settings(preset_layer("tiny"), SHORT), tmp_path / "run", progress=False)
    assert "level" not in agents.load_metrics(run.run).updates
    assert "full_difficulty_from" not in run.summary
