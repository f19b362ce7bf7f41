"""`pdpp-worker up` as a process, with all that it starts, and what they hold and take."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.waiting import until

ROOT = Path(__file__).parents[2]
WORKERS = ("control", "collect")


@dataclass(frozen=True)
class Part:
    """A process of the fleet: its name, its proportional share of memory (bytes), and the CPU that it took (s)."""

    pid: int
    name: str
    pss: int
    cpu_s: float


class Up:
    """A fleet that runs in `data_dir`, with servers of its own."""

    def __init__(self, data_dir: Path) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PDPP_")}
        self.environment = {**kept, "PDPP_DATA_DIR": str(data_dir), "PYTHONPATH": str(ROOT)}
        self._data_dir = data_dir
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until its workers listen; returns the seconds that this took."""
        began = time.monotonic()
        log = (self._data_dir.parent / "up.log").open("ab")
        command = [sys.executable, "-m", "pdpp_worker", "up"]
        self._process = subprocess.Popen(command, env=self.environment, cwd=ROOT, stdout=log, stderr=log)
        log.close()
        until(lambda: all(_is_ready(self._data_dir / "logs" / f"{name}.log") for name in WORKERS), self._process)
        return time.monotonic() - began

    def parts(self) -> list[Part]:
        """All of its processes as they are now: `up`, what it started, the embedded servers and their supervisors."""
        found = (_part(process) for process in psutil.process_iter() if self._is_ours(process))
        return sorted((part for part in found if part is not None), key=lambda part: -part.pss)

    def stop(self) -> float:
        """Tell it to stop; returns the seconds until nothing of it is left."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(signal.SIGTERM)
        self._process.wait()
        until(lambda: not self.parts())
        return time.monotonic() - began

    def kill(self) -> None:
        """End it by force, should it still run; what it started ends by itself."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def _is_ours(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            if process.pid == os.getpid():
                return False
            about = [process.cwd(), *process.cmdline(), process.environ().get("PDPP_DATA_DIR", "")]
            return any(str(self._data_dir) in word for word in about)
        return False


@contextmanager
def running(data_dir: Path) -> Iterator[Up]:
    """A fleet that does not outlive the `with`; it is to be started."""
    up = Up(data_dir)
    try:
        yield up
    finally:
        up.kill()


def _is_ready(log: Path) -> bool:
    return log.exists() and b" ready." in log.read_bytes()


def _part(process: psutil.Process) -> Part | None:
    with suppress(psutil.Error):
        times, words = process.cpu_times(), process.cmdline()
        return Part(process.pid, _name(words), _pss(process.pid), times.user + times.system)
    return None


def _pss(pid: int) -> int:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:"))


def _name(words: list[str]) -> str:
    """The purpose of a process, in a word or two."""
    text = " ".join(words)
    queues = [word.removeprefix("--queues=") for word in words if word.startswith("--queues=")]
    if queues:
        return queues[0]
    if "server_supervisor" in text:
        return f"supervisor of {words[-2]}"
    if "fleet_supervisor" in text:
        return "up"
    known = [word for word in ("flower", "web", "postgres", "valkey") if word in text]
    return text if text.startswith("postgres:") else known[0] if known else text[:40]
