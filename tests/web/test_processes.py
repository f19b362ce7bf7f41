"""The console as a program."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from pdpp_worker.settings import Settings
from tests.support.fleet import environment
from tests.support.waiting import until

PROGRAM = [sys.executable, "-m", "pdpp_worker", "web"]


def link(settings: Settings) -> str:
    """The link that `--link` prints."""
    done = subprocess.run([*PROGRAM, "--link"], env=environment(settings), capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.process
def test_it_lets_in_by_a_new_link_logs_no_key_and_ends_in_good_order(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        program = subprocess.Popen([*PROGRAM, "--port=0"], env=environment(settings), stdout=output, stderr=output)
    try:
        until(lambda: "listens at" in log.read_text() or program.poll() is not None)
        with httpx.Client(follow_redirects=True) as browser:
            assert "Am I missing anything?" in browser.get(link(settings)).text
        assert not re.search(r"key=", log.read_text())
    finally:
        program.send_signal(signal.SIGTERM)
        assert program.wait(20) == 0, log.read_text()
