"""Load the targets of a command: agents from run directories, or the task of reference policies."""

from collections.abc import Sequence
from pathlib import Path

from agents.evaluation.agent import Agent
from agents.runs.model_files import load
from agents.settings.layers import DEFAULT_SIZE, make_settings, preset_layer
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, did_you_mean
from token_env.rules.task import Task


def reference_task(size: str | None, language: str | None) -> Task:
    """Return the task for reference policies: the size of a preset, and a language; None selects the defaults.

    Raises:
        SettingError: The size or language is unknown.
    """
    language_layer = [{"env": {"language": language}}] if language else []
    return make_settings(preset_layer(DEFAULT_SIZE if size is None else size), *language_layer).env


def load_runs(
    targets: Sequence[str], size: str | None, language: str | None, max_runs: int, advice: str
) -> list[Agent]:
    """Load the trained agents of these runs.

    Args:
        targets: Directories of the runs.
        size: The command's --size; must be None, since a run has its own size.
        language: The command's --language; must be None, since a run has its own language.
        max_runs: Largest number of runs that the command accepts.
        advice: Words that say what to type, for error messages.

    Raises:
        SettingError: A target is not the directory of a finished run, there are too many, or size or language is set.
    """
    missing = [target for target in targets if not Path(target).is_dir()]
    unknown = [target for target in missing if target not in REFERENCES]
    if unknown:
        raise SettingError(
            f"{unknown[0]!r} is no directory of a run; type {advice}.{did_you_mean(unknown[0], REFERENCES)}"
        )
    if missing:
        raise SettingError(f"{missing[0]!r} is a reference policy, not a run; type {advice}.")
    if len(targets) > max_runs:
        raise SettingError(f"{len(targets)} runs were named; type {advice}.")
    if size or language:
        raise SettingError("a run has its own size and language; leave out --size and --language.")
    return [load(target) for target in targets]
