"""The services that the processes of a worker share."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.process  # starts processes itself

LOOK = """
import os
from pdpp_worker.tasks.services import stopping
child = os.fork()
while child == 0:
    stopping()
print(child, flush=True)
os.waitpid(child, 0)
print(stopping(), flush=True)
"""


@pytest.mark.parametrize("attempt", range(2))
def test_a_child_that_is_killed_while_it_looks_keeps_nobody_else_from_looking(attempt: int) -> None:
    with subprocess.Popen([sys.executable, "-c", LOOK], stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        os.kill(int(worker.stdout.readline()), signal.SIGKILL)
        try:
            said, _ = worker.communicate(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            worker.kill()
            raise

    assert said == "False\n"
