"""Run the benchmarks: compare sizes and settings over seeds, measure speed, and check the coverage of intervals."""

import sys
from typing import TYPE_CHECKING, Any

import agents

if not hasattr(agents, "check_neighbour"):
    _message = (
        f"{agents.__file__} hides tokentask's package 'agents'; rename its folder, or start Python in another one."
    )
    if sys.argv[:1] == ["-m"]:
        print(f"error: {_message}", file=sys.stderr)
        raise SystemExit(2)
    raise ImportError(_message)

if TYPE_CHECKING:
    from benchmarks.measures.frame import results

__all__ = ["results"]


def __getattr__(name: str) -> Any:
    if name != "results":
        raise AttributeError(f"module 'benchmarks' has no attribute {name!r}")
    from benchmarks.measures.frame import results

    return results
