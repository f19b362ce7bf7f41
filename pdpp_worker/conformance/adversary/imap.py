"""A lying go-between for IMAP: it passes lines on, and lies about the answer to a command."""

from __future__ import annotations

import re
import socket
import socketserver
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import BinaryIO

from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.adversary.voice import Voice
from pdpp_worker.conformance.server import POLL_S

HOST = "127.0.0.1"
REFUSALS = (
    b"NO [UNAVAILABLE] Try again later",
    b"NO [SERVERBUG] Something went wrong",
    b"NO Some messages are missing",
)
_DATA = re.compile(rb"\* (?:\d+ FETCH|LIST|SEARCH)", re.IGNORECASE)
# Not HIGHESTMODSEQ: what changed by it is the server's word alone, and nothing stands against it.
_COUNTS = re.compile(rb"(?:\* (\d+) EXISTS|\[UIDNEXT (\d+)\])")
_LITERAL = re.compile(rb"\{(\d+)\}\r\n$")
_SIGN_IN = (b"LOGIN", b"AUTHENTICATE", b"CAPABILITY", b"ENABLE", b"LOGOUT")
"""Commands about which no lie is told: what they say is no content."""


class GoBetween:
    """Answers of the server at `port`, and the lies about them."""

    def __init__(self, voice: Voice, port: int) -> None:
        self.port = port
        self._voice = voice
        self._earlier: dict[bytes, list[list[bytes]]] = defaultdict(list)

    def told(self, command: bytes, lines: list[bytes]) -> tuple[list[bytes], bool]:
        """The lines to pass on in the place of a command's answer, and whether the connection ends behind them.

        Each comes with its literals; the last one begins with the command's tag.
        """
        if command.upper().startswith(_SIGN_IN):
            return lines, False
        if self._voice.is_circling:
            return [], True
        lie = self._voice.draw(command.decode(errors="replace"))
        made = None if lie is None else self._lied(lie, command, lines)
        self._earlier[command].append(lines)
        if lie is None or made is None:
            return lines, False
        self._voice.tell(lie)
        return made, lie is Lie.CUT

    def _lied(self, lie: Lie, command: bytes, lines: list[bytes]) -> list[bytes] | None:
        rng, tagged = self._voice.rng, lines[-1]
        tag = tagged.partition(b" ")[0]
        data = [line for line in lines if _DATA.match(line)]
        if lie is Lie.REFUSED:
            return [b"%s %s\r\n" % (tag, rng.choice(REFUSALS))]
        if lie is Lie.CUT:
            whole = b"".join(lines)
            return [whole[: rng.randrange(len(whole))]]
        if lie is Lie.CONTRADICTORY:
            return self._contradict(lines)
        if lie in (Lie.STALE, Lie.MISPLACED):
            return self._earlier_answer(lie, command, lines, tag)
        return _rearranged(lie, lines, data, self._voice)

    def _contradict(self, lines: list[bytes]) -> list[bytes] | None:
        counted = [number for number, line in enumerate(lines) if _COUNTS.search(line)]
        if not counted:
            return None
        at, change = self._voice.rng.choice(counted), self._voice.rng.choice((-1, 1, 3))
        changed = re.sub(rb"\d+", lambda found: b"%d" % max(0, int(found[0]) + change), lines[at], count=1)
        return [*lines[:at], changed, *lines[at + 1 :]]

    def _earlier_answer(self, lie: Lie, command: bytes, lines: list[bytes], tag: bytes) -> list[bytes] | None:
        """An answer to the same command, or to one of the same kind about other messages."""
        kind = b" ".join(command.split(b" ")[:2])
        items = command.partition(b"(")[2]
        alike = [one for one in self._earlier if one.startswith(kind) and one.partition(b"(")[2] == items]
        asked = [command] if lie is Lie.STALE else [one for one in alike if one != command]
        found = [old for one in asked for old in self._earlier[one] if old[:-1] != lines[:-1]]
        if not found:
            return None
        old = self._voice.rng.choice(found)
        return [*old[:-1], b"%s %s" % (tag, old[-1].partition(b" ")[2])]


def _rearranged(lie: Lie, lines: list[bytes], data: list[bytes], voice: Voice) -> list[bytes] | None:
    rng = voice.rng
    if not data or (lie is Lie.SHUFFLED and len(data) == 1):
        return None
    others = [line for line in lines[:-1] if line not in data]
    if lie is Lie.SHUFFLED:
        rng.shuffle(data)
    elif lie is Lie.REPEATED:
        data.append(rng.choice(data))
    else:
        data = [] if lie is Lie.EMPTY else rng.sample(data, rng.randrange(len(data)))
    made = [*others, *data, lines[-1]]
    return None if made == lines else made


def _line(source: BinaryIO) -> bytes:
    """A line with the literals that it announces; shorter where the connection ends."""
    line = source.readline()
    while (found := _LITERAL.search(line)) is not None:
        line += source.read(int(found[1])) + source.readline()
    return line


class _Session:
    """One connection of a client."""

    def __init__(self, between: GoBetween, source: BinaryIO, sink: BinaryIO, server: BinaryIO) -> None:
        self._between, self._source, self._sink, self._server = between, source, sink, server

    def serve(self) -> None:
        """Pass on until one side ends."""
        self._say(_line(self._server))
        while asked := self._source.readline():
            self._ask(asked)
            tag, _, command = asked.strip().partition(b" ")
            lines, is_over = self._between.told(command, self._answer(tag))
            self._say(*lines)
            if is_over or command.upper() == b"LOGOUT":
                return

    def _answer(self, tag: bytes) -> list[bytes]:
        """The lines of the server up to the tagged one; what it asks for meanwhile, the client gives."""
        lines: list[bytes] = []
        while line := _line(self._server):
            if line.startswith(b"+"):
                self._say(line)
                self._ask(self._source.readline())
                continue
            lines.append(line)
            if line.startswith(tag + b" "):
                return lines
        raise ConnectionError("the server has hung up")

    def _ask(self, line: bytes) -> None:
        self._server.write(line)
        self._server.flush()

    def _say(self, *lines: bytes) -> None:
        self._sink.write(b"".join(lines))
        self._sink.flush()


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def going_between(between: GoBetween) -> Iterator[int]:
    """The port of the go-between, while it listens."""

    class Handler(socketserver.StreamRequestHandler):
        disable_nagle_algorithm = True

        def handle(self) -> None:
            with (
                suppress(OSError),
                socket.create_connection((HOST, between.port)) as upstream,
                upstream.makefile("rwb") as server,
            ):
                _Session(between, self.rfile, self.wfile, server).serve()  # type: ignore[arg-type]

    with _Listener((HOST, 0), Handler) as listener:
        Thread(target=listener.serve_forever, args=(POLL_S,), daemon=True).start()
        try:
            yield listener.server_address[1]
        finally:
            listener.shutdown()
