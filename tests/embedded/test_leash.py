"""A process on a leash ends with its parent."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import until

_PARENT = """
import signal, subprocess, sys
from pdpp_worker.local.embedded.parent_death import leashed
child = subprocess.Popen(leashed([sys.executable, "-c", "import time; time.sleep(60)"], signal.SIGTERM))
print(child.pid, flush=True)
child.wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a process of its parent's death")
def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        until(lambda: "time.sleep(60)" in " ".join(child.cmdline()[:3]))

        parent.kill()

    until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
