"""Runs a tap: makes its files, starts its process, ends both."""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import IO, Any

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import get_settings
from pdpp_worker.singer.nameless_file import nameless_file

_GRACE_S = 2.0
_LOOK_S = 0.5
"""How often a silent tap is looked at, whether it has ended, s."""

_PIECE_BYTES = 64 * 1024
_LINE_BYTES = 64 * 1024 * 1024
"""Longest line of a tap: as long as the longest that the runtime takes."""


class Tap:
    """A tap as a context. Its files, which hold credentials, have no name and are on no disk."""

    def __init__(
        self, command: Sequence[str], files: Mapping[str, Mapping[str, Any]], *, on_log: Callable[[], None]
    ) -> None:
        """`files`: option to the content of the file that it names. `on_log` is called at each line of its log."""
        self._command = list(command)
        self._files = files
        self._on_log = on_log

    def __enter__(self) -> Tap:
        self._process = self._start()
        self._log = threading.Thread(target=self._copy_log, daemon=True)
        self._log.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def lines(self) -> Iterator[bytes]:
        """The lines of its standard output, until it has ended: a helper that it left may hold the pipe open."""
        begun: list[bytes] = []
        while piece := self._read():
            *ended, rest = piece.split(b"\n")
            for part in ended:
                yield b"".join((*begun, part))
                begun.clear()
            begun.append(rest)
            if len(begun) > _LINE_BYTES // _PIECE_BYTES:
                # It is no line that anybody can follow; the pieces end the tap as such.
                yield b"".join(begun)
                begun.clear()
        if any(begun):
            yield b"".join(begun)

    def _read(self) -> bytes:
        """The next bytes of its standard output; none when it has ended and everything is read."""
        output = _pipe(self._process.stdout)
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while not selector.select(_LOOK_S):
                if self._process.poll() is not None and not selector.select(0):
                    return b""
        return os.read(output.fileno(), _PIECE_BYTES)

    def exit_code(self) -> int:
        """Its exit code, once it has written everything."""
        code = self._process.wait()
        self._log.join(_GRACE_S)
        return code

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            with ExitStack() as held:
                files = {name: held.enter_context(nameless_file(content)) for name, content in self._files.items()}
                return subprocess.Popen(
                    [*self._command, *(part for name, file in files.items() for part in (f"--{name}", file.path))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=get_settings().platform_environment(),
                    pass_fds=[file.descriptor for file in files.values()],
                )
        except OSError as error:
            raise ConfigurationError(f"The tap {self._command[0]} cannot be started: {error.strerror}.") from None

    def _copy_log(self) -> None:
        with _pipe(self._process.stderr) as errors:
            for line in errors:
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
                self._on_log()


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    if stream is None:
        raise ValueError("the tap was started without this pipe")
    return stream
