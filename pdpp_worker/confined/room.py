"""The parent's side: hands jobs to children, and kills the one that takes too long.

Children are kept for the next job, so that only the first one waits for a process to start. A child works on one job
at a time; a few jobs of several threads run beside each other.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from typing import IO, Any, cast

from pdpp_worker.confined.parser_process import LENGTH, OUT_OF_MEMORY

MEMORY_BYTES = 384 * 1024 * 1024
"""Address space of a child."""
CPU_S = 30.0
"""Processor time that a job may use; a PDF of 300 pages takes 10 s."""
WALL_S = 120.0
"""Time that a job may take on a busy machine; its slot is held no longer."""
LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
MOST_CHILDREN = 4
"""Children that a room has at a time; further jobs wait for one."""

Child = subprocess.Popen[bytes]


class ConfinedError(Exception):
    """A job that was ended: it took too much time or memory, or its parser died. Says which."""


class _LeftError(Exception):
    """The child had ended before the job came: no fault of the job."""


class Room:
    """Children that all call one function, "module:function", from bytes to what JSON can say."""

    def __init__(
        self, function: str, *, memory_bytes: int = MEMORY_BYTES, cpu_s: float = CPU_S, wall_s: float = WALL_S
    ) -> None:
        # The parser is named, not imported: the worker never loads it.
        self._command = [
            sys.executable,
            "-m",
            "pdpp_worker.confined.parser_process",
            function,
            str(memory_bytes),
            str(cpu_s),
        ]
        self._cpu_s, self._wall_s = cpu_s, wall_s
        self._begin()
        atexit.register(self.close)

    def call(self, job: bytes) -> Any:
        """The value of the function for this job.

        Raises:
            ConfinedError: the job was ended.
        """
        if self._pid != os.getpid():  # the children of the process that this one was forked from
            self._begin()
        with self._places:
            while True:
                child = self._take()
                with suppress(_LeftError):
                    answer = self._ask(child, job)
                    self._idle.append(child)
                    return json.loads(answer)

    def _begin(self) -> None:
        self._idle: list[Child] = []
        self._places = threading.BoundedSemaphore(MOST_CHILDREN)
        self._pid = os.getpid()

    def _take(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.poll() is None:
                return child
            _end(child)
        return self._start()

    def close(self) -> None:
        """End the children that wait for a job."""
        while self._pid == os.getpid() and self._idle:
            _end(self._idle.pop())

    def _start(self) -> Child:
        environment = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"}
        return subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )

    def _ask(self, child: Child, job: bytes) -> bytes:
        clock = _Clock(self._wall_s, child)
        try:
            return _exchange(child, job)
        except (OSError, EOFError) as error:
            raise self._why(child, clock) from error
        except BaseException:
            _end(child)
            raise
        finally:
            clock.stop()

    def _why(self, child: Child, clock: _Clock) -> Exception:
        _end(child)
        if child.returncode == 0:
            return _LeftError()
        if child.returncode == OUT_OF_MEMORY:
            return ConfinedError("it takes too much memory to read")
        if clock.is_over or child.returncode == -signal.SIGXCPU:
            return ConfinedError(f"it takes more than {self._cpu_s:g} s to read")
        return ConfinedError("its reader came to a sudden end")


class _Clock:
    """Kills a child when its time is over."""

    def __init__(self, seconds: float, child: Child) -> None:
        self.is_over = False
        self._child = child
        self._timer = threading.Timer(seconds, self._kill)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Let the child live."""
        self._timer.cancel()

    def _kill(self) -> None:
        self.is_over = True
        self._child.kill()


def _end(child: Child) -> None:
    child.kill()
    with suppress(OSError), child:  # closes the pipes; what is left to write goes nowhere
        pass


def _exchange(child: Child, job: bytes) -> bytes:
    jobs, answers = cast("IO[bytes]", child.stdin), cast("IO[bytes]", child.stdout)
    jobs.write(LENGTH.pack(len(job)))
    jobs.write(job)
    jobs.flush()
    head = answers.read(LENGTH.size)
    size = LENGTH.unpack(head)[0] if len(head) == LENGTH.size else 0
    answer = answers.read(size) if size <= LARGEST_ANSWER_BYTES else b""
    if not answer or len(answer) != size:
        raise EOFError
    return answer
