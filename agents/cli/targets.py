"""Find what a command names: trained agents by the directories of their runs, or the task of reference policies."""

from collections.abc import Sequence
from pathlib import Path

from agents.evaluation.agent import Agent
from agents.runs.model_files import load
from agents.settings.layers import DEFAULT_SIZE, make_settings, preset_layer
from token_env.episodes.references import REFERENCES
from token_env.errors import SettingError, nearest
from token_env.rules.task import Task


def reference_task(size: str | None, language: str | None) -> Task:
    """The task that reference policies play: of a preset's size, in a language; the defaults for None.

    Raises:
        SettingError: an unknown size or language.
    """
    spoken = [{"env": {"language": language}}] if language else []
    return make_settings(preset_layer(DEFAULT_SIZE if size is None else size), *spoken).env


def load_runs(targets: Sequence[str], size: str | None, language: str | None, most: int, allowed: str) -> list[Agent]:
    """The trained agents of these runs.

    Args:
        targets: the directories.
        size: as given on the command line; None is needed, since a run has its own.
        language: the same.
        most: how many runs the command can take.
        allowed: what to type, for the message that a target is no run.

    Raises:
        SettingError: no directory, too many of them, no finished run in one, or a size or language was given.
    """
    missing = [target for target in targets if not Path(target).is_dir()]
    neither = [target for target in missing if target not in REFERENCES]
    if neither:
        raise SettingError(f"{neither[0]!r} is no directory of a run; type {allowed}.{nearest(neither[0], REFERENCES)}")
    if missing:
        raise SettingError(f"{missing[0]!r} is a reference policy, not a run; type {allowed}.")
    if len(targets) > most:
        raise SettingError(f"{len(targets)} runs were named; type {allowed}.")
    if size or language:
        raise SettingError("a run has its own size and language; leave out --size and --language.")
    return [load(target) for target in targets]
