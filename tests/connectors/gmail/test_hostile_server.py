"""A mail server that never comes to an end is given up, within bounds of memory and time."""

from __future__ import annotations

import imaplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.gmail import client, exchange
from connectors.gmail.client import Client
from pdpp_worker.connector import Message, ProviderError, Record, SkipResult
from tests.connectors.gmail.conftest import holder

pytestmark = pytest.mark.process
MEGABYTE = 1024 * 1024
IS_LONG = settings().max_examples > 100


@contextmanager
def serving(answer: Callable[[socket.socket], None], greeting: bytes = b"* PREAUTH ready\r\n") -> Iterator[int]:
    """A server that greets, takes a command, and answers it so; its port. Without a greeting the answer is all."""

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(greeting)
            if not greeting:
                answer(connection)
            while greeting and (line := connection.recv(4096)):
                if b"CAPABILITY" in line:
                    tag = line.split()[0]
                    connection.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
                else:
                    answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def for_ever(piece: bytes) -> Callable[[socket.socket], None]:
    """An answer that repeats one piece, far beyond any bound of these tests."""

    def answer(connection: socket.socket) -> None:
        for _ in range(64 * MEGABYTE // len(piece)):
            connection.sendall(piece)

    return answer


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (for_ever(b"x" * 65536), "got more than 1048576 bytes"),
        (for_ever(b"* OK " + b"y" * 60_000 + b"\r\n"), "sent more than 8388608 bytes to one command"),
        (lambda one: one.sendall(b"* 1 FETCH (BODY[] {10000000000}\r\n"), "announced 10000000000 bytes"),
        (for_ever(b"* 1 FETCH (BODY[] {60000}\r\n" + b"z" * 60_000 + b")\r\n"), "sent more than 8388608 bytes"),
    ],
    ids=["a line", "lines", "a literal of 10 GB", "literals"],
)
def test_an_answer_without_end_is_given_up(
    answer: Callable[[socket.socket], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LARGEST_ANSWER", 8 * MEGABYTE)
    monkeypatch.setattr(imaplib, "_MAXLINE", MEGABYTE)
    before = psutil.Process().memory_info().rss

    with serving(answer) as port:
        mail = Client("127.0.0.1", port, ssl=False, timeout=10)
        with pytest.raises((imaplib.IMAP4.error, imaplib.IMAP4.abort), match=why):
            mail.find("ALL")
        mail.shutdown()

    assert psutil.Process().memory_info().rss - before < 200 * MEGABYTE


def scripted(reply: Callable[[bytes, Random], bytes], rng: Random) -> Callable[[socket.socket], None]:
    """Signs in anybody, and answers every later command as told; ends with the connection."""

    def answer(connection: socket.socket) -> None:
        while line := connection.recv(65536):
            for command in line.splitlines():
                tag, _, asked = command.partition(b" ")
                is_sign_in = asked.upper().startswith((b"LOGIN", b"AUTHENTICATE", b"CAPABILITY", b"ENABLE", b"ID"))
                connection.sendall(tag + b" OK done\r\n" if is_sign_in else reply(tag, rng))

    return answer


_PIECES = [
    b"* ",
    b"1 FETCH (",
    b"UID 1",
    b")",
    b"(" * 3000,
    b"{5}\r\n",
    b"{99999999999999999999}\r\n",
    b'"',
    b"\\",
    b"NIL ",
    b"FLAGS (",
    b"BODYSTRUCTURE (",
    b"\r\n",
    b"\0\xff",
    b'LIST () "/" INBOX',
    b"EXISTS",
    b"-1 ",
    b"SEARCH 1 2 99999999999999999999",
    b"OK [UIDVALIDITY 1]",
    b"+ ",
    b"BYE",
]


def garbage(tag: bytes, rng: Random) -> bytes:
    """Pieces of answers in any order, and in the end a word that the command is done, or is not."""
    pieces = b"".join(rng.choice((rng.choice(_PIECES), rng.randbytes(5))) for _ in range(rng.randrange(30)))
    return pieces + b"\r\n" + tag + rng.choice((b" OK", b" NO x", b" BAD", b"", b" OK [READ-ONLY] x")) + b"\r\n"


GREETING = b"* OK [CAPABILITY IMAP4rev1] ready\r\n"


def _run_against(answer: Callable[[socket.socket], None], files: Path, greeting: bytes = GREETING) -> list[Message]:
    """A run of the connector; anything but an error of the provider's fails the test."""
    with serving(answer, greeting) as port:
        owner = holder({"host": "127.0.0.1", "port": port, "tls": "plain", "user": "me"}, files)
        with suppress(ProviderError):
            return owner.run()
    return []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=600 if IS_LONG else 10)
@given(seed=st.integers(0, 2**32))
def test_a_server_that_answers_garbage_is_told_as_the_reason(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_ANSWER_S", 0.3)

    said = _run_against(scripted(garbage, Random(seed)), tmp_path / str(seed))

    assert not [one for one in said if isinstance(one, Record)]


@pytest.mark.parametrize("greeting", [GREETING, b""], ids=["an answer", "its greeting"])
def test_a_server_that_drips_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, greeting: bytes) -> None:
    monkeypatch.setattr(exchange, "LONGEST_ANSWER_S", 0.3)

    def drip(connection: socket.socket) -> None:
        for _ in range(100):
            connection.sendall(b"x")
            stopped.wait(0.05)
        heard_out.append(connection)

    stopped = threading.Event()
    heard_out: list[socket.socket] = []
    said = _run_against(drip, tmp_path, greeting)
    stopped.set()

    assert heard_out == []
    assert {one.reason for one in said if isinstance(one, SkipResult)} <= {"timed_out", "network_error"}
    assert not [one for one in said if isinstance(one, Record)]


def test_no_piece_of_a_command_is_held_back_until_the_server_acknowledges_the_one_before() -> None:
    with serving(for_ever(b"* OK\r\n")) as port:
        mail = Client("127.0.0.1", port, ssl=False, timeout=10)

        assert mail.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

        mail.shutdown()


def test_all_that_a_server_drips_until_the_sign_in_has_one_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exchange, "LONGEST_ANSWER_S", 1.0)

    def drip(connection: socket.socket) -> None:
        later.wait(0.6)
        connection.sendall(GREETING)
        while line := connection.recv(4096):
            asked.append(line.split()[1])
            later.wait(0.6)
            connection.sendall(line.split()[0] + b" OK done\r\n")

    later = threading.Event()
    asked: list[bytes] = []
    _run_against(drip, tmp_path, greeting=b"")

    assert asked == [b"LOGIN"]
