"""One side loads the records once, in this process, so that its memory is its own.

Called as `python -m bench.ingest.side NAME DATABASE_URL REDIS_URL FOLDER`; prints a `Measure` as JSON.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Measure:
    """What one load took: the time of the clock, the processor time of the client (s), and its peak RSS (bytes)."""

    seconds: float
    cpu_s: float
    peak_rss: int


def module(name: str) -> Any:
    """A side's module: `load(database_url, redis_url, folder)`, and `TABLE`, which it fills."""
    return import_module(f"bench.ingest.side_{name}")


def measure(name: str, database_url: str, redis_url: str, folder: Path) -> Measure:
    """Let a process of its own load the records."""
    command = [sys.executable, "-m", __name__, name, database_url, redis_url, str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measure(**json.loads(done.stdout))


def main(name: str, database_url: str, redis_url: str, folder: str) -> None:
    """Load, and print what it took."""
    load = module(name).load
    began, cpu = time.perf_counter(), time.process_time()
    load(database_url, redis_url, Path(folder))
    print(json.dumps(asdict(Measure(time.perf_counter() - began, time.process_time() - cpu, peak_rss()))))


def peak_rss() -> int:
    """Most memory this process has held, bytes.

    Linux counts into `ru_maxrss` what the parent held when it started this process; VmHWM is this program's alone.
    """
    if _STATUS.exists():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
