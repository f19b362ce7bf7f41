"""Files that are written in a worker are for its user alone, whoever writes them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pdpp_worker.local.supervisor import ProcessSpec, Supervisor
from pdpp_worker.settings import Settings
from pdpp_worker.web.access import Access

pytestmark = pytest.mark.process  # starts processes itself

_WRITE = """
import pathlib, sys, pdpp_worker.celery

folder = pathlib.Path(sys.argv[1])
folder.mkdir()
(folder / "file").write_text("")
"""


def test_no_one_else_can_read_what_a_worker_writes(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    subprocess.run([sys.executable, "-c", _WRITE, str(folder)], check=True)

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "file").stat().st_mode & 0o777 == 0o600


def test_no_one_else_can_read_what_the_console_and_the_fleet_write(tmp_path: Path) -> None:
    web, logs = tmp_path / "web", tmp_path / "logs"
    web.mkdir(mode=0o755)
    access = Access(Settings(data_dir=tmp_path))

    os.close(access.note_url("http://127.0.0.1:1"))
    supervisor = Supervisor([ProcessSpec("one", (sys.executable, "-c", "pass"))], tmp_path)
    supervisor._started(supervisor._processes[0].spec).wait()

    [noted] = web.glob("urls/*")
    written = {web: 0o700, web / "keys": 0o700, noted: 0o600, logs: 0o700, logs / "one.log": 0o600}
    assert {path: path.stat().st_mode & 0o777 for path in written} == written
