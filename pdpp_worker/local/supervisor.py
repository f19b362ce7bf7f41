"""Keeps a set of processes running, and leaves none behind."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import locks
from pdpp_worker.local.embedded import make_directory
from pdpp_worker.local.log_files import rotate
from pdpp_worker.local.needs import Need
from pdpp_worker.local.parent_death import with_parent_death_signal

logger = logging.getLogger(__name__)

GRACE_S = 30.0
"""Time that the processes have to end by themselves: a worker finishes the batch it is at."""
_LOOK_EVERY_S = 0.4
_FIRST_DELAY_S = 1.0
_LONGEST_DELAY_S = 60.0
_STABLE_S = 60.0
"""After a crash, a process that had run this long is taken to have crashed for the first time."""
_STOPPED_S = 30.0
"""A process that a signal has stopped for so long is ended, and started again."""
_LOG_BYTES = 10_000_000
_ROTATE_EVERY_S = 5.0


@dataclass(frozen=True)
class ProcessSpec:
    """A process to keep running, always or while it is needed: its name, and the command line that runs it."""

    name: str
    command: tuple[str, ...]
    need: Need | None = None
    """None: always."""


@dataclass
class _Process:
    spec: ProcessSpec
    popen: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    due_at: float = 0.0
    crashes: int = 0
    is_told: bool = False
    """To end, because it is no longer needed."""
    stopped_at: float | None = None
    """Since when it is stopped by a signal; None: it is not."""

    def is_wanted(self) -> bool:
        """Whether it is to be started: it runs always, is needed, or crashed while it was."""
        return self.spec.need is None or self.crashes > 0 or self.spec.need.arises()

    def is_done(self, now: float) -> bool:
        """Whether it is no longer needed while it runs, and was not told yet."""
        need = self.spec.need
        return need is not None and not self.is_told and need.is_over(now - self.started_at)


@dataclass(frozen=True)
class ProcessState:
    """State of a process; `pid` is None while it waits to be started again, or is not needed."""

    name: str
    pid: int | None
    crashes: int
    """In a row."""


def hold_fleet(data_dir: Path) -> int:
    """Become the one fleet of a data directory, which is made: the lock's descriptor.

    Raises:
        ConfigurationError: another supervisor has this data directory.
    """
    make_directory(data_dir)
    held = locks.try_lock(data_dir / "fleet.lock")
    if held is None:
        raise ConfigurationError(
            f"A fleet already runs in {data_dir}. Stop that one, or set PDPP_DATA_DIR to another directory."
        )
    return held


class Supervisor:
    """Runs processes, each with a log and a process group of its own, and starts again those that end.

    Wants `start`, then `poll` a few times a second, then `stop`; `run` does all three. On Linux the processes end with
    the thread that started them, even when it is killed, so that must be the main thread.
    """

    def __init__(
        self,
        specs: Sequence[ProcessSpec],
        data_dir: Path,
        environment: Mapping[str, str] | None = None,
        *,
        lock: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`environment`: the processes' (None: this one's); `lock`: what `hold_fleet` gave, if it was called before."""
        self._processes = [_Process(spec) for spec in specs]
        self._data_dir = data_dir
        self._environment = environment
        self._clock = clock
        self._lock = lock
        self._rotate_at = 0.0
        self._signals = 0
        self._told = threading.Event()

    def log_path(self, name: str) -> Path:
        """The log of the process called `name`."""
        return self._data_dir / "logs" / f"{name}.log"

    @property
    def states(self) -> list[ProcessState]:
        """The processes as `poll` last saw them."""
        return [ProcessState(p.spec.name, p.popen.pid if p.popen else None, p.crashes) for p in self._processes]

    def start(self) -> None:
        """Start every process.

        Raises:
            ConfigurationError: another supervisor has this data directory.
        """
        if self._lock is None:
            self._lock = hold_fleet(self._data_dir)
        self.poll()

    def poll(self) -> None:
        """Notice the processes that ended, start those that are due, and end those that are needed no longer."""
        now = self._clock()
        self._rotate_logs(now)
        for process in self._processes:
            if process.popen is not None and process.popen.poll() is not None:
                self._bury(process, now)
            if process.popen is None:
                self._launch_if_wanted(process, now)
            elif process.is_done(now):
                process.is_told = True
                process.popen.terminate()
            elif _is_stopped(process.popen.pid):
                self._end_stopped(process, process.popen, now)
            else:
                process.stopped_at = None

    def stop(self, grace_s: float = GRACE_S) -> None:
        """End every process: politely, and after `grace_s` seconds, or a second signal to `run`, by force."""
        running = [process.popen for process in self._processes if process.popen is not None]
        for popen in running:
            popen.terminate()
        deadline = time.monotonic() + grace_s
        while any(popen.poll() is None for popen in running) and time.monotonic() < deadline and self._signals < 2:
            time.sleep(_LOOK_EVERY_S / 8)
        for popen in running:
            _kill_group(popen)
        for process in self._processes:
            process.popen = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def run(self, on_poll: Callable[[], None] = lambda: None) -> None:
        """Keep the processes running until SIGINT, SIGTERM or SIGHUP; `on_poll` is called after each look at them.

        Raises:
            ConfigurationError: another supervisor has this data directory.
        """
        with self._signals_counted(), self:
            while not self._told.wait(_LOOK_EVERY_S):
                self.poll()
                on_poll()

    def end(self) -> None:
        """Let `run` return after this look."""
        self._told.set()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @contextmanager
    def _signals_counted(self) -> Iterator[None]:
        watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self._on_signal) for number in watched}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, _signal: int, _frame: FrameType | None) -> None:
        self._signals += 1
        self._told.set()

    def _rotate_logs(self, now: float) -> None:
        if now >= self._rotate_at:
            self._rotate_at = now + _ROTATE_EVERY_S
            for process in self._processes:
                rotate(self.log_path(process.spec.name), _LOG_BYTES)

    def _launch_if_wanted(self, process: _Process, now: float) -> None:
        if process.due_at > now:
            return
        if process.is_wanted():
            self._launch(process, now)
        elif process.spec.need is not None:
            process.due_at = now + process.spec.need.look_every_s

    def _launch(self, process: _Process, now: float) -> None:
        """Start a process; what fails at that, such as a full disk, costs it alone."""
        process.started_at, process.is_told, process.stopped_at = now, False, None
        try:
            process.popen = self._started(process.spec)
        except OSError as error:
            self._put_off(process, now, f"cannot be started ({error.strerror})")

    def _started(self, spec: ProcessSpec) -> subprocess.Popen[bytes]:
        log, socket = self.log_path(spec.name), getattr(spec.need, "socket", None)
        log.parent.mkdir(mode=0o700, exist_ok=True)
        with log.open("ab") as output:
            return subprocess.Popen(
                with_parent_death_signal(spec.command, signal.SIGTERM),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                pass_fds=() if socket is None else (socket,),
            )

    def _end_stopped(self, process: _Process, popen: subprocess.Popen[bytes], now: float) -> None:
        """End a process that was stopped and not told to go on: it does nothing, and would hear no request to end."""
        name = process.spec.name
        if process.stopped_at is None:
            process.stopped_at = now
            logger.warning("%s was stopped by a signal; if it does not go on in %.0f s it is ended", name, _STOPPED_S)
        elif now - process.stopped_at >= _STOPPED_S:
            popen.kill()

    def _bury(self, process: _Process, now: float) -> None:
        """Clean up after a process that ended, and say when it is started again."""
        popen = process.popen
        if popen is None:
            return
        _kill_group(popen)
        process.popen = None
        if process.spec.need is not None and popen.returncode == 0:
            process.crashes, process.due_at = 0, now + _FIRST_DELAY_S
            return
        self._put_off(process, now, f"ended with status {popen.returncode}")

    def _put_off(self, process: _Process, now: float, how: str) -> None:
        process.crashes = 1 if now - process.started_at > _STABLE_S else process.crashes + 1
        delay = min(_FIRST_DELAY_S * 2 ** (process.crashes - 1), _LONGEST_DELAY_S)
        process.due_at = now + delay
        name, log = process.spec.name, self.log_path(process.spec.name)
        logger.warning("%s %s; starting it again in %.0f s; its log is %s", name, how, delay, log)


def _is_stopped(pid: int) -> bool:
    """Whether a signal has stopped a process, where Linux tells. One that a debugger holds is in another state."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2].startswith(b"T")


def _kill_group(popen: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process's group, and reap the process."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(popen.pid, signal.SIGKILL)
    popen.wait()
