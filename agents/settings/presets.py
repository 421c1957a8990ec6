"""Find and read the shipped presets, YAML files in the folder `configs` beside the package `agents`.

The folder is found by its path: a project may have another package or folder of that name.
"""

from pathlib import Path
from typing import Any

from agents.settings.yaml_text import parse

FOLDER = Path(__file__).parents[2] / "configs"


def names() -> list[str]:
    """Return the names of all presets: `--config` takes each of them, `--size` those without a slash."""
    return sorted(path.relative_to(FOLDER).with_suffix("").as_posix() for path in FOLDER.glob("**/*.yaml"))


def read_preset(name: str) -> dict[str, Any]:
    """Return the settings of a preset, one of `names()`, as nested dictionaries.

    Raises:
        FileNotFoundError: There is no preset of this name.
    """
    return parse((FOLDER / f"{name}.yaml").read_text(encoding="utf-8"))
