"""A process with a parent-death signal ends with its parent."""

from __future__ import annotations

import subprocess
import sys

import psutil
import pytest

from tests.support.waiting import until

pytestmark = pytest.mark.process  # starts processes itself

_PARENT = """
import signal, subprocess, sys
from pdpp_worker.local.parent_death import with_parent_death_signal
command = with_parent_death_signal([sys.executable, "-c", "import time; time.sleep(60)"], signal.SIGTERM)
child = subprocess.Popen(command)
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
