"""A worker of which no thread runs any more is ended, and says where it stands."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.waiting import PATIENCE_S

pytestmark = pytest.mark.process  # starts processes itself

FREEZES = """
import re
from pdpp_worker.tasks import frozen
def backtracks():
    re.match("(a+)+$", "a" * 60 + "b")
frozen.watch(0.5)
backtracks()
"""
RESTS = """
import time
from pdpp_worker.tasks import frozen
frozen.watch(0.5)
time.sleep(1.5)
"""


def ended(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE_S)


def test_a_process_whose_interpreter_is_kept_ends_and_names_the_place() -> None:
    done = ended(FREEZES)

    assert done.returncode == 1
    assert "in backtracks" in done.stderr


def test_a_process_whose_threads_run_goes_on() -> None:
    assert ended(RESTS).returncode == 0
