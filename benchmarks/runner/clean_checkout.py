"""Keep rows made with uncommitted code out of the committed results."""

from pathlib import Path

from agents.machine.provenance import changed_files
from benchmarks.files import RESULTS
from token_env.errors import SettingError

SHOWN = 5  # changed files that a message names


def require_clean_checkout(folder: Path) -> None:
    """Check that tracked files of the packages are committed if the results go into the committed folder.

    Args:
        folder: Directory of the results files.

    Raises:
        SettingError: The folder is the committed one, and a tracked file of the packages is changed.
    """
    if folder.resolve() != RESULTS.resolve():
        return
    if changed := changed_files():
        more = f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else ""
        raise SettingError(
            f"{', '.join(changed[:SHOWN])}{more} differ from the last commit, so no revision would name the code of "
            "these runs. Commit the changes (git commit) or put them aside (git stash), or type --results with "
            "another folder."
        )
