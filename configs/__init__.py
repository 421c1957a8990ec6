"""Read the presets: YAML files beside this one."""

from importlib import resources
from typing import Any

import yaml

MAX_BYTES = 100_000  # of a settings file


def names() -> list[str]:
    """Every preset, as `--size` (plain names) or `--config` (all) take them."""
    folder = resources.files(__name__)
    plain = [file.name for file in folder.iterdir()]
    nested = [f"reported/{file.name}" for file in (folder / "reported").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in plain + nested if name.endswith(".yaml"))


def read_preset(name: str) -> dict[str, Any]:
    """The settings of the preset of this name, one of `names()`, as nested dictionaries."""
    return parse(resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Any]:
    """Settings from YAML.

    Raises:
        ValueError: text that is too long, is not YAML, or is no mapping.
    """
    if len(text) > MAX_BYTES:
        raise ValueError(f"it is longer than {MAX_BYTES} characters")
    try:
        content = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"it is not YAML: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ValueError("it must be a mapping of settings, such as 'episodes: 2000'")
    return content


def dump(settings: dict[str, Any]) -> str:
    """Settings as YAML, in the order given."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, default_flow_style=False)
