"""The page of settings has every setting, with the default that it has in code and the comment beside it."""

import re

import pytest

from agents.settings.layers import assignment_layer, make_settings
from agents.settings.schema import Settings
from docs.generators.settings import Field, field_comments, settings_text, type_text

ROW = re.compile(r"^\| `([\w.]+)` \| (.+) \| `(.+)` \| (.+) \|$", re.MULTILINE)


def test_the_tables_have_every_setting_once():
    keys = [key for key, *_ in ROW.findall(settings_text())]
    values = Settings().to_dict()
    del values["maskable_ppo"]  # the settings of ppo
    expected = [
        f"{name}.{key}" if isinstance(value, dict) else name
        for name, value in values.items()
        for key in (value if isinstance(value, dict) else [name])
    ]
    assert sorted(keys) == sorted(expected)
    assert "## maskable_ppo\n\nHyper-parameters of PPO and MaskablePPO.\n\nThe settings and" in settings_text()


def value_at(settings, key):
    value = settings.to_dict()
    for name in key.split("."):
        value = value[name]
    return value


def test_a_default_can_be_typed():
    for key, _, default, _ in ROW.findall(settings_text()):
        typed = make_settings(assignment_layer(f"{key}={default}"))
        assert value_at(typed, key) == value_at(Settings(), key), key


class Base:
    behind: int = max(1, 2)  # behind # it
    # above,
    # in two lines
    above: int = 0
    inherited: int = 0  # of the base class
    none: int = 0


class Derived(Base):
    inherited: int = 1


def test_comments_stand_behind_above_or_in_the_base_class():
    comments = {"behind": "behind # it", "above": "above, in two lines", "inherited": "of the base class"}
    assert field_comments(Derived) == comments


@pytest.mark.parametrize(
    ("section", "name", "text"),
    [
        ("ppo", "gamma", "number, ≥\xa00, ≤\xa01"),
        ("ppo", "target_kl", "number or `null`, >\xa00"),
        ("policy", "hidden", "list of integers"),
        ("policy", "activation", "`tanh` or `relu`"),
        ("curriculum", "enabled", "`true` or `false`"),
    ],
)
def test_types_are_words_with_limits(section, name, text):
    field = type(getattr(Settings(), section)).model_fields[name]
    assert type_text(Field(name, field.annotation, field.metadata, None)) == text
