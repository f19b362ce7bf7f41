"""One child process, as its parent sees it: asked one thing at a time, and killed when it takes too long."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

from pdpp_worker.confined.parser_process import LENGTH, OUT_OF_MEMORY

LARGEST_ANSWER_BYTES = 32 * 1024 * 1024
_PIECE = 256 * 1024


class ConfinedError(Exception):
    """A job that was ended: it took too much time or memory, or its parser died. Says which."""


class LeftError(Exception):
    """The child had ended before the job came: no fault of the job."""


class Child:
    """A process that calls one function, "module:function", on each job."""

    def __init__(self, function: str, memory_bytes: int, cpu_s: float) -> None:
        command = [sys.executable, "-m", "pdpp_worker.confined.parser_process", function, str(memory_bytes), str(cpu_s)]
        self._socket, theirs = socket.socketpair()
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
        """The answer to a job; a child that raises is ended.

        Raises:
            ConfinedError: the job was ended.
            LeftError: the child had ended before.
        """
        deadline = time.monotonic() + wall_s
        try:
            self._socket.settimeout(wall_s)
            self._socket.sendall(LENGTH.pack(len(job)))
            self._socket.sendall(job)
            return self._answer(deadline)
        except (OSError, EOFError) as error:
            raise self._why(wall_s if isinstance(error, TimeoutError) else None) from error
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Kill it."""
        self._process.kill()
        self._socket.close()
        self._process.wait()

    def _answer(self, deadline: float) -> bytes:
        received = bytearray(self._receive(_PIECE, deadline))
        while len(received) < LENGTH.size:
            received += self._receive(_PIECE, deadline)
        size = LENGTH.size + LENGTH.unpack_from(received)[0]
        if size > LARGEST_ANSWER_BYTES:
            raise EOFError
        while len(received) < size:
            received += self._receive(size - len(received), deadline)
        if len(received) != size:
            raise EOFError
        return bytes(memoryview(received)[LENGTH.size :])

    def _receive(self, size: int, deadline: float) -> bytes:
        self._socket.settimeout(max(deadline - time.monotonic(), 0.001))
        piece = self._socket.recv(min(size, _PIECE))
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
