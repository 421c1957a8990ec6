"""A worker ends with its harness at any moment."""

import os
import subprocess

from benchmarks.runner.worker import ORPHANED
from tests.support.processes import SECONDS, python


def test_a_worker_ends_with_its_harness_while_it_still_imports(tmp_path):
    (tmp_path / "torch.py").write_text("import time\ntime.sleep(3600)\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    words = python("benchmarks.runner.worker", "tiny", "tiny/a2c", "0", str(tmp_path), str(tmp_path / "run"))
    harness_is_gone = subprocess.DEVNULL
    worker = subprocess.run(words, stdin=harness_is_gone, env=os.environ | {"PYTHONPATH": path}, timeout=SECONDS)
    assert worker.returncode == ORPHANED
