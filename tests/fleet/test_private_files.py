"""Files that are written in a worker are for its user alone, whoever writes them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

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
