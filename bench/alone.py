"""A piece of work in a process of its own, so that its memory and its processor time are its own.

Called as `python -m bench.alone MODULE ARGUMENT ...`; it calls the module's `load(*arguments)` and prints a `Measure`
as JSON. It needs the standard library only, so that a peer may run it in an environment of its own.
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
    """The cost of a load: the time of the clock, the processor time of the client (s), and its peak RSS (bytes)."""

    seconds: float
    cpu_s: float
    peak_rss: int


def measure(module: str, *arguments: str, python: str = sys.executable) -> Measure:
    """Let a process of its own load.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [python, "-m", __name__, module, *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return Measure(**json.loads(done.stdout.splitlines()[-1]))


def figures_of(folder: Path, *words: str) -> Any:
    """Let a command of the benchmarks run in a process of its own; the figures that it writes, read from JSON.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    out = folder / "figures.json"
    subprocess.run([sys.executable, "-m", "bench", *words, "--json", str(out)], stdout=subprocess.DEVNULL, check=True)
    return json.loads(out.read_text(encoding="utf-8"))


def main(module: str, *arguments: str) -> None:
    """Load, and print what it took; the processor time of its own children counts."""
    load = import_module(module).load
    began, cpu = time.perf_counter(), cpu_s()
    load(*arguments)
    print(json.dumps(asdict(Measure(time.perf_counter() - began, cpu_s() - cpu, peak_rss()))))


def peak_rss() -> int:
    """Most memory this process, or one of its children, has held, bytes."""
    return max(own_peak_rss(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * _UNIT)


def own_peak_rss() -> int:
    """Most memory this process has held, bytes.

    Linux counts into `ru_maxrss` what the parent held when it started this process; VmHWM is this program's alone.
    """
    return peak_of(_STATUS) if _STATUS.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _UNIT


def peak_of(status: Path) -> int:
    """Most memory that a process has held, by its status in /proc, bytes. Raises StopIteration for one that is over."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


_UNIT = 1 if sys.platform == "darwin" else 1024


def cpu_s() -> float:
    """Processor time of this process, and of its children that are over, s."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


if __name__ == "__main__":
    main(*sys.argv[1:])
