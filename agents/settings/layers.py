"""Merge presets, settings files and `--set` assignments into validated settings."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

import configs
from agents.settings.schema import Settings
from token_env.errors import SettingError, unknown_name

DEFAULT_SIZE = "fast"
VARIANTS_OF_PPO = ("maskable_ppo", "recurrent_ppo")  # sections that take from ppo's what they do not say themselves


def make_settings(*layers: Mapping[str, Any]) -> Settings:
    """Settings from nested dictionaries, later ones over earlier ones.

    What they say of ppo holds for its variants too, where they do not say something else of these.

    Raises:
        SettingError: an unknown key, or a value that is not allowed; the message names the first one.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merged_layers(merged, layer)
    ppo = {name: merged["ppo"] for name in VARIANTS_OF_PPO if isinstance(merged.get("ppo"), Mapping)}
    merged = merged_layers(ppo, merged)
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise _explained(error) from error


def differences(one: Mapping[str, Any], other: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where nested dictionaries of the same keys differ: `section.key` and both values."""
    for key, value in one.items():
        if isinstance(value, Mapping):
            yield from differences(value, other[key], f"{place}{key}.")
        elif value != other[key]:
            yield place + key, value, other[key]


def read_layer(source: str) -> dict[str, Any]:
    """The settings in a YAML file, or of a shipped preset such as `reported/fast`.

    Raises:
        SettingError: neither a file nor a preset, or a file that holds no settings.
    """
    path = Path(source).expanduser()
    try:
        return configs.parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        if source in configs.names():
            return configs.read_preset(source)
        if isinstance(error, FileNotFoundError):
            known = ", ".join(configs.names())
            raise SettingError(f"there is no file {source!r}, nor such a preset; presets: {known}.") from None
        raise SettingError(f"cannot read settings from {source!r}: {error}.") from error


def preset_layer(size: str) -> dict[str, Any]:
    """The settings of the preset of this size.

    Raises:
        SettingError: an unknown size.
    """
    known = [name for name in configs.names() if "/" not in name]
    if size not in known:
        raise unknown_name("size", size, known)
    return configs.read_preset(size)


def assignment_layer(assignment: str) -> dict[str, Any]:
    """The settings in `section.key=value`, the value written as in YAML; `-` in a key stands for `_`.

    Raises:
        SettingError: something else than an assignment.
    """
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise SettingError(f"--set takes KEY=VALUE, {assignment!r} was given; type --set ppo.learning_rate=1e-4, say.")
    try:
        layer: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SettingError(f"the value in --set {assignment!r} cannot be read: {error}.") from error
    for part in reversed(key.replace("-", "_").split(".")):
        layer = {part: layer}
    return dict(layer)


def merged_layers(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries as one: what `above` says counts, in each section alike."""
    merged = dict(below)
    for key, value in above.items():
        inner = merged.get(key)
        both = isinstance(inner, Mapping) and isinstance(value, Mapping)
        merged[key] = merged_layers(inner, value) if both else value  # type: ignore[arg-type]
    return merged


def _explained(error: ValidationError) -> SettingError:
    first = error.errors()[0]
    place, known = _place([str(part) for part in first["loc"]])
    if first["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        section = place[:-1]
        return unknown_name("setting", ".".join(place), [".".join([*section, name]) for name in known])
    reason = first["msg"].removeprefix("Value error, ").rstrip(".")
    if first["type"] == "value_error" and isinstance(first["input"], Mapping):  # a section's own check names its key
        joint = "" if not place else ": " if reason.startswith("unknown") else "."
        return SettingError(f"{'.'.join(place)}{joint}{reason}.")
    return SettingError(f"{'.'.join(place)} cannot be {first['input']!r}: {reason}.")


def _place(location: list[str]) -> tuple[list[str], list[str]]:
    """The keys that lead to a wrong value, without what pydantic adds behind them, and the keys known beside it."""
    model: Any = Settings
    for depth, part in enumerate(location):
        names = [field.name for field in fields(model)] if is_dataclass(model) else list(model.model_fields)
        inner = None if part not in names or is_dataclass(model) else model.model_fields[part].annotation
        if not (is_dataclass(inner) or (isinstance(inner, type) and issubclass(inner, BaseModel))):
            return location[: depth + 1], names
        model = inner
    return location, []
