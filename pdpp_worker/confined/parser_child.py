"""One child process, as its parent sees it: asked one thing at a time, and killed when it takes too long."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pdpp_worker.confined.parser_process import LENGTH, OUT_OF_MEMORY

LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
LOOK_S = 0.5
"""Seconds between two looks whether to wait on."""
_PIECE = 256 * 1024


def wait_on() -> None:
    """Wait as long as the job may take."""


class ConfinedError(Exception):
    """A job that was ended: it took too much time or memory, or its parser died. Says which."""


class LeftError(Exception):
    """The child had ended before the job came: no fault of the job."""


class Child:
    """A process that calls one function, "module:function", on each job."""

    def __init__(self, function: str, memory_bytes: int, cpu_s: float) -> None:
        command = [sys.executable, "-m", "pdpp_worker.confined.parser_process", function, str(memory_bytes), str(cpu_s)]
        self._socket, theirs = socket.socketpair()
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIECE)  # an answer of this size waits for nobody
        self._cpu_s = cpu_s
        with theirs:
            self._process = subprocess.Popen(
                command,
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=subprocess.DEVNULL,
                env={"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "LC_ALL": "C.UTF-8"},
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(self, job: bytes, wall_s: float) -> bytes:
        """The answer to a job; errors as those of `send` and `receive`."""
        self.send(job, wall_s)
        return self.receive(wall_s)

    def send(self, job: bytes, wall_s: float) -> None:
        """Hand over a job.

        Raises:
            ConfinedError: the child was ended.
            LeftError: it had ended before.
        """
        with self._ended_by_failures(wall_s):
            self._socket.settimeout(wall_s)
            self._socket.sendall(LENGTH.pack(len(job)))
            self._socket.sendall(job)

    def receive(
        self, wall_s: float, *, largest: int = LARGEST_ANSWER_BYTES, meanwhile: Callable[[], None] = wait_on
    ) -> bytes:
        """The answer to the job that was handed over, of `largest` bytes at most; a child that raises is ended.

        `meanwhile` is called now and then during the wait; the child is ended when it raises.

        Raises:
            ConfinedError: the job was ended.
            LeftError: the child had ended before.
        """
        with self._ended_by_failures(wall_s):
            return self._answer(time.monotonic() + wall_s, largest, meanwhile)

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._socket.close()
        self._process.wait()

    @contextmanager
    def _ended_by_failures(self, wall_s: float) -> Iterator[None]:
        try:
            yield
        except (OSError, EOFError) as error:
            raise self._why(wall_s if isinstance(error, TimeoutError) else None) from error
        except BaseException:
            self.end()
            raise

    def _answer(self, deadline: float, largest: int, meanwhile: Callable[[], None]) -> bytes:
        received = bytearray(self._receive(_PIECE, deadline, meanwhile))
        while len(received) < LENGTH.size:
            received += self._receive(_PIECE, deadline, meanwhile)
        size = LENGTH.size + LENGTH.unpack_from(received)[0]
        if size > largest:
            raise EOFError
        while len(received) < size:
            received += self._receive(size - len(received), deadline, meanwhile)
        if len(received) != size:
            raise EOFError
        return bytes(memoryview(received)[LENGTH.size :])

    def _receive(self, size: int, deadline: float, meanwhile: Callable[[], None]) -> bytes:
        while True:
            left = deadline - time.monotonic()
            self._socket.settimeout(min(max(left, 0.001), LOOK_S))
            try:
                piece = self._socket.recv(min(size, _PIECE))
            except TimeoutError:
                if left <= LOOK_S:
                    raise
                meanwhile()
                continue
            if not piece:
                raise EOFError
            return piece

    def _why(self, late_s: float | None) -> Exception:
        self.end()
        if self._process.returncode == 0:
            return LeftError()
        if self._process.returncode == OUT_OF_MEMORY:
            return ConfinedError("it takes too much memory to read")
        if late_s is not None:
            return ConfinedError(f"it takes more than {late_s:g} s in all to read")
        if self._process.returncode == -signal.SIGXCPU:
            return ConfinedError(f"it takes more than {self._cpu_s:g} s to read")
        return ConfinedError("its reader came to a sudden end")
