"""Merge presets, settings files and `--set` assignments into validated settings."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from agents.settings.presets import names, read_preset
from agents.settings.schema import PPOSettings, Settings
from agents.settings.yaml_text import parse, parse_value
from token_env.errors import SettingError, shortened, unknown_name

DEFAULT_SIZE = "fast"
# Sections whose missing keys default to those of section ppo.
PPO_VARIANTS = [name for name, field in Settings.model_fields.items() if isinstance(field.default, PPOSettings)]
PPO_VARIANTS.remove("ppo")


def make_settings(*layers: Mapping[str, Any]) -> Settings:
    """Merge nested dictionaries into validated settings; later layers override earlier ones.

    Keys of section ppo also apply to its variants, unless a layer sets them in the variant's own section.

    Raises:
        SettingError: Layers have unknown keys or values that are not allowed; the message names all of them.
    """
    merged: dict[str, Any] = {}
    for layer in layers:
        merged = merge_layers(merged, layer)
    ppo = {name: merged["ppo"] for name in PPO_VARIANTS if isinstance(merged.get("ppo"), Mapping)}
    try:
        return Settings.model_validate(merge_layers(ppo, merged))
    except ValidationError as error:
        own = [details for details in error.errors() if not _is_inherited(details["loc"], merged)]
        raise SettingError(*(text for details in own or error.errors() for text in _messages(details))) from error


def differences(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield `section.key` and both values for each difference between nested dictionaries that have the same keys."""
    for key, value in one.items():
        if isinstance(value, Mapping):
            yield from differences(value, other[key], f"{prefix}{key}.")
        elif value != other[key]:
            yield prefix + key, value, other[key]


def read_layer(source: str) -> dict[str, Any]:
    """Read a layer of settings from a YAML file, or from a shipped preset such as `reported/fast`.

    Raises:
        SettingError: `source` is neither a file nor a preset, or the file holds no settings.
    """
    path = Path(source).expanduser()
    try:
        return parse(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        if source in names():
            return read_preset(source)
        if isinstance(error, FileNotFoundError):
            known = ", ".join(names())
            raise SettingError(f"there is no file {source!r} and no preset of that name; presets: {known}.") from None
        raise SettingError(f"cannot read settings from {source!r}: {error}.") from error


def preset_layer(size: str) -> dict[str, Any]:
    """Read the preset of a size.

    Raises:
        SettingError: The size is unknown.
    """
    known = [name for name in names() if "/" not in name]
    if size not in known:
        raise unknown_name("size", size, known)
    return read_preset(size)


def assignment_layer(assignment: str) -> dict[str, Any]:
    """Parse `section.key=value` into a layer. The value is YAML; `-` in the key is read as `_`.

    Raises:
        SettingError: The text is not an assignment.
    """
    key, equals, value = assignment.partition("=")
    if not equals or not key:
        raise SettingError(
            f"--set takes KEY=VALUE, not {assignment!r}; type, for example, --set ppo.learning_rate=1e-4."
        )
    try:
        layer: Any = parse_value(value)
    except ValueError as error:
        raise SettingError(f"--set cannot read the value of {assignment!r}: {error}.") from error
    for part in reversed(key.replace("-", "_").split(".")):
        layer = {part: layer}
    return dict(layer)


def merge_layers(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two nested dictionaries recursively; values of `above` override those of `below`."""
    merged = dict(below)
    for key, value in above.items():
        old = merged.get(key)
        both_nested = isinstance(old, Mapping) and isinstance(value, Mapping)
        merged[key] = merge_layers(old, value) if both_nested else value  # type: ignore[arg-type]
    return merged


def _is_inherited(location: tuple[int | str, ...], merged: Mapping[str, Any]) -> bool:
    """Return whether a wrong value in the section of a variant of PPO comes from section ppo."""
    section, *keys = location or ("",)
    return section in PPO_VARIANTS and bool(keys) and keys[0] not in merged.get(str(section), {})


def _messages(error: ErrorDetails) -> list[str]:
    """Convert an error of pydantic into messages that name the key and the allowed values."""
    keys, known = _locate([str(part) for part in error["loc"]])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        section = keys[:-1]
        return [str(unknown_name("setting", ".".join(keys), [".".join([*section, name]) for name in known]))]
    cause = error.get("ctx", {}).get("error")
    if isinstance(cause, SettingError):  # names its keys; a task's keywords lack their section
        in_task = isinstance(error["input"], Mapping) and keys
        return [_in_section(".".join(keys), message) if in_task else message for message in cause.messages]
    reason = error["msg"].removeprefix("Value error, ").rstrip(".")
    return [f"{'.'.join(keys)} cannot be {shortened(error['input'])}: {reason}."]


def _in_section(section: str, message: str) -> str:
    return f"{section}{': ' if message.startswith('unknown') else '.'}{message}"


def _locate(location: list[str]) -> tuple[list[str], list[str]]:
    """Return the keys that lead to a wrong value, without pydantic's suffixes, and all known keys of its section."""
    model: Any = Settings
    for depth, part in enumerate(location):
        names = [field.name for field in fields(model)] if is_dataclass(model) else list(model.model_fields)
        inner = None if part not in names or is_dataclass(model) else model.model_fields[part].annotation
        if not (is_dataclass(inner) or (isinstance(inner, type) and issubclass(inner, BaseModel))):
            return location[: depth + 1], names
        model = inner
    return location, []
