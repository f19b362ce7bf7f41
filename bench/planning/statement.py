"""The owner's whole statement as JSON, written by the program itself: how long it takes, and how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


@dataclass(frozen=True)
class Written:
    """One run of a command: seconds, peak memory of its process (bytes), bytes that it wrote."""

    seconds: float
    peak_rss: int
    size: int


def write(database_url: str, redis_url: str, *arguments: str) -> Written:
    """Run the program, and measure its process."""
    with TemporaryDirectory(prefix="pdpp-bench-") as folder:
        servers = {"PDPP_DATABASE_URL": database_url, "PDPP_REDIS_URL": redis_url}
        environment = {**os.environ, **servers, "PDPP_DATA_DIR": folder}
        output = Path(folder) / "output"
        began = time.perf_counter()
        with output.open("wb") as file:
            process = subprocess.Popen([sys.executable, "-m", "pdpp_worker", *arguments], stdout=file, env=environment)
            _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise subprocess.CalledProcessError(process.returncode, arguments)
        return Written(time.perf_counter() - began, usage.ru_maxrss * 1024, output.stat().st_size)
