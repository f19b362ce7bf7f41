"""Runs a command: reads and writes its three pipes together, and ends it."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, cast

from pdpp_worker.command import marked_processes, subreaper
from pdpp_worker.command.connector_user import Account
from pdpp_worker.command.lines import BoundedLines
from pdpp_worker.command.outline import Outline
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.privileges import handed_on

LINE_BYTES = 16 * 1024 * 1024
"""Longest line of standard output that is read whole; in memory its message may be ten times as large."""

ENDLESS_BYTES = 1024 * 1024 * 1024
"""Size at which a line counts as endless."""

GRACE_S = 5.0
"""Time between SIGTERM and SIGKILL, s."""

_CHUNK = 256 * 1024
_LOOK_EVERY_S = 0.25
_SUBREAPER_S = 10.0
"""Longest time that the subreaper may take to end everything, beyond the grace, s."""
_KEEPER = (sys.executable, "-I", "-S", subreaper.__file__)
_CLEAN = {"LC_ALL": "C.UTF-8"}
"""The environment of the subreaper, which is root where the fleet is: a loader or an interpreter reads no word of the
command's there."""


class Child:
    """A command in a process group of its own. It is read only as fast as its lines are taken."""

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        *,
        check: Callable[[], None],
        log: Callable[[bytes], None],
        account: Account | None = None,
        paths: Sequence[str] = (),
        is_offline: bool = False,
        memory_bytes: int = 0,
    ) -> None:
        """Start it in `folder`. `check` is called during every wait; `log` gets the chunks of its standard error.

        `account`: the user that it runs as; None: this process's. `paths`: absolute ones that it is to reach.
        `is_offline`: it has no network. `memory_bytes`: the most that it may have with all that it starts; 0: no limit.
        """
        self._check = check
        self._log = log
        self._account = account
        self._paths = paths
        self._mark = secrets.token_hex(16)
        identity = "-" if account is None else account.identity
        if account is None or not account.is_own:
            marked_processes.adopt_orphans()
        network = "offline" if is_offline else "online"
        keeper = [identity, network, str(memory_bytes), str(folder), str(len(paths)), *paths, *command]
        self._process, self._lifeline = _start(keeper, {**environment, marked_processes.MARK: self._mark})
        self._stdin, self._stdout, self._stderr = _pipes(self._process)
        self._lines = BoundedLines(LINE_BYTES)
        self._whole: deque[bytes | Outline] = deque()
        self.half_line: bytes | None = None
        """The bytes after the end of its last line, once it has closed its standard output."""
        self._unsent = bytearray()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ, self._take_output)
        self._selector.register(self._stderr, selectors.EVENT_READ, self._take_errors)

    def send(self, line: bytes) -> None:
        """Write a line to its standard input, as it takes it, while its output is read."""
        if self._stdin.closed:
            return
        if not self._unsent:
            self._selector.register(self._stdin, selectors.EVENT_WRITE, self._give_input)
        self._unsent += line + b"\n"

    def close_input(self) -> None:
        """Close its standard input; bytes that it has not read yet are dropped."""
        if self._unsent:
            self._unsent.clear()
            self._selector.unregister(self._stdin)
        self._stdin.close()

    def lines(self) -> Iterator[bytes | Outline]:
        """Its lines, blank ones left out, until it closes its standard output; the last may lack its end.

        Raises:
            ProtocolViolation: a line does not end.
        """
        while True:
            while self._whole:
                yield self._whole.popleft()
            has_ended = self._process.poll() is not None
            if self._stdout.closed or (not self._look(_LOOK_EVERY_S) and has_ended):
                return

    def waiting(self) -> list[bytes | Outline]:
        """The lines that it has written and that are not read yet, after one look at its pipes."""
        self._look(0)
        return list(self._whole)

    def exit_code(self, timeout_s: float) -> int | None:
        """Its exit code; None when it has not ended after so many seconds, or writes another line meanwhile."""
        deadline = time.monotonic() + timeout_s
        while not self._whole and time.monotonic() < deadline:
            has_ended = self._process.poll() is not None
            if self._selector.get_map():
                if not self._look(_LOOK_EVERY_S) and has_ended:  # somebody else holds its pipes
                    return self._process.returncode
            elif self._ends_within(_LOOK_EVERY_S):
                return self._process.returncode
            self._check()
        return None

    def stop(self) -> None:
        """End it and everything that it has started, by force if it takes longer than the grace."""
        os.close(self._lifeline)
        if not self._ends_within(GRACE_S + _SUBREAPER_S):
            self._process.kill()
            self._process.wait()
        if self._process.returncode < 0:  # it was killed, so it has ended nothing
            self._end_marked_processes()
        with suppress(BlockingIOError):
            while not self._stderr.closed:
                self._take_errors()
        self._selector.close()
        for pipe in (self._stdin, self._stdout, self._stderr):
            pipe.close()

    def _end_marked_processes(self) -> None:
        if self._account is not None and self._account.is_own:
            sweep = [*_KEEPER, "sweep", self._account.identity, *self._paths]
            with handed_on():
                subprocess.run(sweep, env=_CLEAN, cwd=os.sep, check=False)
        else:
            marked_processes.end(self._mark)

    def _look(self, timeout_s: float) -> bool:
        """Serve the pipes that are ready, and say whether one was."""
        self._check()
        ready = self._selector.select(timeout_s)
        for key, _ in ready:
            key.data()
        return bool(ready)

    def _take_output(self) -> None:
        chunk = self._read(self._stdout)
        if chunk:
            self._whole.extend(self._lines.feed(chunk))
        elif half := self._lines.rest().strip():
            self._whole.append(half)
            self.half_line = half
        if self._lines.size > ENDLESS_BYTES:
            raise ProtocolViolation(f"the command wrote a line of more than {ENDLESS_BYTES} bytes, and no end to it")

    def _take_errors(self) -> None:
        self._log(self._read(self._stderr))

    def _read(self, pipe: IO[bytes]) -> bytes:
        """Read a chunk; at the end of the pipe nothing, and the pipe is closed."""
        chunk = os.read(pipe.fileno(), _CHUNK)
        if not chunk:
            self._selector.unregister(pipe)
            pipe.close()
        return chunk

    def _give_input(self) -> None:
        try:
            del self._unsent[: os.write(self._stdin.fileno(), self._unsent[:_CHUNK])]
        except BrokenPipeError:
            self.close_input()
            return
        if not self._unsent:
            self._selector.unregister(self._stdin)

    def _ends_within(self, timeout_s: float) -> bool:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return self._process.returncode is not None


def _start(keeper: Sequence[str], environment: Mapping[str, str]) -> tuple[subprocess.Popen[bytes], int]:
    """Start the subreaper with these arguments, and tell it the command's environment.

    Returns its process and our end of the lifeline.
    """
    reading, lifeline = os.pipe()
    try:
        with handed_on():
            process = subprocess.Popen(
                [*_KEEPER, str(reading), str(GRACE_S), *keeper],
                cwd=os.sep,
                env=_CLEAN,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[reading],
                start_new_session=True,
            )
    except BaseException:
        os.close(lifeline)
        raise
    finally:
        os.close(reading)
    with suppress(BrokenPipeError):  # its exit code tells why it has ended
        _write_all(lifeline, json.dumps(dict(environment)).encode() + b"\n")
    return process, lifeline


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    """Its standard input, output and error, which never block."""
    pipes = cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", (process.stdin, process.stdout, process.stderr))
    for pipe in pipes:
        os.set_blocking(pipe.fileno(), False)
    return pipes
