import dataclasses
import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3 import PPO

from agents.algorithms.budget import check_budget
from agents.algorithms.table import ALGORITHMS
from agents.settings.layers import assignment_layer, make_settings, preset_layer, read_layer
from agents.settings.presets import names
from agents.settings.schema import PPOSettings, Settings
from agents.settings.yaml_text import dump, parse
from tests.support.settings import PRESETS
from token_env import SIZES, SettingError, Task

SIZE_PRESETS = [name for name in names() if "/" not in name]


@st.composite
def settings_layers(draw):
    """Settings drawn over all sections."""
    positive = st.floats(1e-9, 1e3, allow_nan=False)
    return {
        "name": draw(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)),
        "algorithm": draw(st.sampled_from(sorted(ALGORITHMS))),
        "seed": draw(st.integers(0, 2**31 - 1)),
        "episodes": draw(st.integers(1, 10**9)),
        "env": {
            "vocab_size": draw(st.integers(2, 10**6)),
            "language": draw(st.sampled_from(["synthetic", "text:a b/ö.txt"])),
            "noise": draw(st.floats(0, 10)),
            "num_problems": draw(st.none() | st.integers(1, 2**62)),
            "reward": draw(st.sampled_from(["dense", "exact"])),
        },
        "policy": {
            "hidden": draw(st.lists(st.integers(1, 4096), max_size=4)),
            "optimizer": draw(st.sampled_from(["auto", "adam", "rmsprop", "sgd"])),
        },
        "ppo": {"learning_rate": draw(positive), "n_envs": draw(st.integers(1, 10**4))},
        "a2c": {"ent_coef": draw(st.floats(0, 10)), "normalize_advantage": draw(st.booleans())},
        "recurrent_ppo": {"lstm_hidden_size": draw(st.integers(1, 4096)), "learning_rate": draw(positive)},
    }


@given(settings_layers())
def test_settings_to_yaml_to_settings_is_the_identity(layer):
    settings = make_settings(layer)
    assert make_settings(parse(dump(settings.to_dict()))) == settings


@pytest.mark.parametrize(("name", "algorithm"), PRESETS)
def test_every_preset_is_valid_and_its_rollouts_divide_its_budget(name, algorithm):
    check_budget(make_settings(read_layer(name), {"algorithm": algorithm}))


@pytest.mark.parametrize("size", SIZES)
def test_presets_play_the_sizes_that_are_registered(size):
    expected = dataclasses.replace(Task(), **SIZES[size])
    assert make_settings(preset_layer(size)).env == expected
    assert make_settings(preset_layer(size)).name == size


def test_sizes_and_presets_have_the_same_names():
    assert set(SIZE_PRESETS) == set(SIZES)


@pytest.mark.parametrize(
    ("size", "episodes", "hidden"), [("fast", 2000, 256), ("intermediate", 2000, 256), ("stable", 5000, 512)]
)
def test_presets_have_the_budgets_and_widths_of_the_report(size, episodes, hidden):
    settings = make_settings(preset_layer(size))
    assert settings.episodes == episodes
    assert set(settings.policy.hidden) == {hidden}


@pytest.mark.parametrize(
    ("size", "n_steps", "batch_size"), [("fast", 2400, 60), ("intermediate", 2400, 60), ("stable", 2000, 50)]
)
def test_reported_settings_are_sb3s_defaults_but_for_whole_episodes_and_the_learning_rate(size, n_steps, batch_size):
    ours, reported = make_settings(preset_layer(size)), make_settings(read_layer(f"reported/{size}"))
    expected = PPOSettings(learning_rate=1e-6, n_steps=n_steps, batch_size=batch_size)
    assert reported.ppo == expected
    assert (reported.episodes, reported.env, reported.policy.hidden) == (ours.episodes, ours.env, ours.policy.hidden)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_defaults_are_those_of_sb3_and_sb3_contrib(algorithm):
    row = ALGORITHMS[algorithm]
    defaults = {
        name: keyword.default
        for learner in (PPO, row.learner)  # GRPO passes most of its keywords on to PPO
        for name, keyword in inspect.signature(learner).parameters.items()
    }
    defaults |= {
        "lstm_hidden_size": inspect.signature(RecurrentActorCriticPolicy).parameters["lstm_hidden_size"].default
    }
    section = make_settings({"algorithm": algorithm}).hyperparameters
    ours = section.model_dump(exclude={"n_envs", "learning_rate_schedule", "action_bias"})
    assert ours == {name: defaults[name] for name in ours}


def test_keys_on_the_command_line_may_be_written_as_the_algorithms_are():
    assert make_settings(assignment_layer("maskable-ppo.n_envs=3")).maskable_ppo.n_envs == 3
    with pytest.raises(SettingError, match=r"Did you mean 'maskable_ppo.n_envs'"):
        make_settings(assignment_layer("maskable-ppo.n_env=3"))
    with pytest.raises(SettingError, match=r"unknown setting 'maskable-ppo'. Did you mean 'maskable_ppo'"):
        make_settings({"maskable-ppo": {"n_envs": 3}})


def test_variants_of_ppo_take_its_settings_where_they_say_nothing_else():
    settings = make_settings({"ppo": {"n_envs": 7, "gamma": 0.5}, "recurrent_ppo": {"gamma": 0.25}})
    assert (settings.maskable_ppo.n_envs, settings.recurrent_ppo.n_envs) == (7, 7)
    assert (settings.maskable_ppo.gamma, settings.recurrent_ppo.gamma) == (0.5, 0.25)
    assert (settings.trpo.n_envs, settings.a2c.n_envs) == (1, 1)
    assert make_settings(preset_layer("fast")).maskable_ppo == make_settings(preset_layer("fast")).ppo


def test_later_layers_win_and_leave_the_rest():
    settings = make_settings(preset_layer("fast"), assignment_layer("ppo.learning_rate=1e-4"), {"seed": 3})
    assert settings.ppo.learning_rate == 1e-4
    assert settings.ppo.n_envs == make_settings(preset_layer("fast")).ppo.n_envs
    assert settings.seed == 3


@pytest.mark.parametrize(
    ("assignment", "value"),
    [("policy.hidden=[512,512]", (512, 512)), ("policy.hidden=[]", ()), ("policy.hidden=[8]", (8,))],
)
def test_assignments_are_read_as_yaml(assignment, value):
    assert make_settings(assignment_layer(assignment)).policy.hidden == value


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({"epsodes": 3}, "unknown setting 'epsodes'. Did you mean 'episodes'"),
        ({"env": {"vocab_size": 1}}, r"env.vocab_size is 1; it must be at least 2"),
        ({"env": {"noise": -1}}, r"env.noise is -1"),
        ({"env": {"reward": len}}, "must be names"),
        ({"episodes": 0}, "episodes cannot be 0"),
        ({"policy": {"hidden": [0]}}, "at least 1 unit"),
        ({"ppo": {"learning_rate": float("nan")}}, "ppo.learning_rate cannot be nan"),
        ({"ppo": 3}, "ppo cannot be 3"),
        ({"name": "../x"}, "name cannot be"),
        ({"env": {"language": 3}}, "^env.language is a name or a Language, 3 was given"),
        ({"env": {"vocab_size": "x"}}, "^env.vocab_size is an integer, 'x' was given"),
        ({"policy": {"hidden": ["x"]}}, "^policy.hidden cannot be 'x'"),
        ({"policy": {"head": "tied", "optimizer": "sgd"}}, "sgd cannot train policy.head=tied.*--set policy.head=fast"),
        ({"policy": {"head": "planning", "optimizer": "sgd"}}, "optimizer=sgd cannot train policy.head=planning"),
        ({"policy": {"optimizer": "SGD"}}, "policy.optimizer cannot be 'SGD'.*'sgd'"),
        ({"a2c": {"use_rms_prop": False}}, "^a2c.use_rms_prop is now policy.optimizer.*--set policy.optimizer=adam"),
        ({"env": {"split": "test"}}, "both 'test'.*--set env.split=train"),
    ],
)
def test_wrong_settings_are_refused_by_name(layer, message):
    with pytest.raises(SettingError, match=message):
        make_settings(layer)


def test_settings_older_than_the_choice_of_optimizers_mean_what_they_meant():
    assert make_settings({"a2c": {"use_rms_prop": True, "gamma": 0.5}}) == make_settings({"a2c": {"gamma": 0.5}})


@pytest.mark.parametrize("assignment", ["", "x", "=3", "a=[1"])
def test_what_is_no_assignment_is_refused(assignment):
    with pytest.raises(SettingError, match="--set"):
        assignment_layer(assignment)


@pytest.mark.parametrize("content", ["- 1", "a: [", "1: 2", "x" * 200_000, "!!python/object/apply:os.system [ls]"])
def test_files_that_hold_no_settings_are_refused(tmp_path, content):
    path = tmp_path / "settings.yaml"
    path.write_text(content)
    with pytest.raises(SettingError, match="cannot read settings"):
        read_layer(str(path))


def test_a_missing_file_is_refused_with_the_presets():
    with pytest.raises(SettingError, match="reported/fast"):
        read_layer("nowhere.yaml")


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        Settings().episodes = 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("episodes: 100\nseed: 1\nepisodes: 200", "line 3: the key 'episodes' stands twice"),
        ("ppo:\n  n_epochs: 1\n  n_epochs: 2", "line 3: the key 'n_epochs' stands twice"),
        ("name: &x a\nalgorithm: *x", "line 1: anchors .* are not allowed"),
        ("[1, 2]: 3", "a key must be a word"),
        ("episodes: [", "expected the node content"),
        ("episodes: " + "9" * 5000, "Exceeds the limit"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("[" * 5000, "recursion"),
        ("just words", "must be a mapping"),
    ],
)
def test_what_is_no_strict_yaml_is_refused_in_one_line(text, message, tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(SettingError, match=message) as error:
        read_layer(str(path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", ["true", "010", "1:30", "1_000", "0x10", "2.0", "'3'", "yes", "[3]", "2026-01-01"])
@pytest.mark.parametrize("name", ["episodes", "env.vocab_size", "ppo.n_epochs"])
def test_only_an_integer_is_an_integer(name, value):
    with pytest.raises(SettingError, match=f"^{name} "):
        make_settings(assignment_layer(f"{name}={value}"))


@pytest.mark.parametrize("value", ["true", "'0.1'", "1:30", "0x1", "one"])
@pytest.mark.parametrize("name", ["env.noise", "ppo.learning_rate"])
def test_only_a_number_is_a_number(name, value):
    with pytest.raises(SettingError, match=f"^{name} "):
        make_settings(assignment_layer(f"{name}={value}"))


@pytest.mark.parametrize(("value", "number"), [("1e-4", 1e-4), ("1", 1.0), (".5", 0.5), ("2.5E-1", 0.25)])
def test_numbers_are_written_as_in_yaml_1_2(value, number):
    assert make_settings(assignment_layer(f"ppo.learning_rate={value}")).ppo.learning_rate == number


@pytest.mark.parametrize("text", ["1e5", "010", "yes", "null", "", "1.", "~", "0x10", "2026-01-01", "é: #"])
def test_texts_that_look_like_something_else_come_back_as_texts(text):
    assert parse(dump({"text": text})) == {"text": text}


def test_a_message_does_not_grow_with_the_value():
    with pytest.raises(SettingError) as error:
        make_settings({"episodes": [["x" * 1000] * 1000] * 1000})
    assert len(str(error.value)) < 2100
    with pytest.raises(SettingError) as error:
        make_settings({"x" * 10**6: 1})
    assert len(str(error.value)) < 2100


def test_one_message_names_all_wrong_settings_once_each():
    wrong = {"epsodes": 1, "env": {"vocab_sise": 2, "noise": -1}, "ppo": {"gama": 1, "gamma": 2}, "algorithm": "pp0"}
    with pytest.raises(SettingError) as error:
        make_settings(wrong)
    names = ["'epsodes'", "'vocab_sise'", "env.noise", "'ppo.gama'", "ppo.gamma cannot", "'pp0'"]
    assert [sum(name in message for message in error.value.messages) for name in names] == [1] * 6
    assert len(error.value.messages) == str(error.value).count("\n- ") == 6


def test_a_budget_that_fits_nowhere_is_mended_by_what_one_message_says():
    layer = {"episodes": 77, "env": {"max_steps": 10}}
    with pytest.raises(SettingError) as error:
        check_budget(make_settings(layer))
    typed = dict(re.findall(r"type --(?:set )?([\w.]+)[= ](\d+)", str(error.value)))
    assert typed.keys() == {"ppo.n_steps", "episodes", "ppo.batch_size"}
    check_budget(make_settings(layer, *(assignment_layer(f"{key}={value}") for key, value in typed.items())))
