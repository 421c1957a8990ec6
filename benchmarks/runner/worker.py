"""Execute one run in a process of its own, which the harness starts.

`python -m benchmarks.runner.worker BENCHMARK CASE SEED RESULTS RUN`. The process exits when its standard input closes,
so that no worker survives a killed harness.
"""

import os
import signal
import sys
import threading
from pathlib import Path

ORPHANED = 3  # exit code after the end of the harness
DIVERGED = 4  # exit code if the training diverged and its row says so; the last line of the output tells when


def exit_with_harness() -> None:
    """Exit this process immediately when the harness closes standard input."""
    os.read(sys.stdin.fileno(), 1)  # blocks until the harness ends
    os._exit(ORPHANED)


def main(arguments: list[str]) -> int:
    """Execute the run given by the command-line arguments; return the exit code."""
    benchmark, case, seed, folder, run = arguments
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the harness handles Ctrl-C and stops its workers
    threading.Thread(target=exit_with_harness, daemon=True).start()
    from agents.cli.console import SIGNAL_EXIT_OFFSET  # imported now: the harness may end during these seconds, too
    from agents.machine.signals import Interrupted
    from benchmarks.runner.measurement import measure
    from token_env.errors import SettingError

    try:
        row = measure(benchmark, case, int(seed), Path(folder), Path(run))
    except SettingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except Interrupted as stop:
        return SIGNAL_EXIT_OFFSET + stop.number
    if row.diverged is not None:
        print(f"diverged after {row.diverged:,} of {row.settings.episodes:,} episodes", file=sys.stderr)
        return DIVERGED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
