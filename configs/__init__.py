"""Read the presets, YAML files in this folder; parse and write settings as YAML."""

from importlib import resources
from typing import Any

import yaml

MAX_CHARACTERS = 100_000  # length limit of a settings file


def names() -> list[str]:
    """Return the names of all presets: `--config` takes each of them, `--size` those without a slash."""
    folder = resources.files(__name__)
    plain = [file.name for file in folder.iterdir()]
    nested = [f"reported/{file.name}" for file in (folder / "reported").iterdir()]
    return sorted(name.removesuffix(".yaml") for name in plain + nested if name.endswith(".yaml"))


def read_preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset, one of `names()`, as nested dictionaries.

    Raises:
        FileNotFoundError: There is no preset of this name.
    """
    return parse(resources.files(__name__).joinpath(f"{name}.yaml").read_text(encoding="utf-8"))


def parse(text: str) -> dict[str, Any]:
    """Parse settings from YAML.

    Raises:
        ValueError: The text is too long, is not YAML, or is not a mapping.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"it is longer than {MAX_CHARACTERS} characters")
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
    """Return settings as YAML, in the order of the dictionary."""
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True, default_flow_style=False)
