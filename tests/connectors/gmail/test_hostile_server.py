"""A mail server that never comes to an end is given up, within bounds of memory and time."""

from __future__ import annotations

import imaplib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from connectors.gmail import client
from connectors.gmail.client import Client

pytestmark = pytest.mark.process
MEGABYTE = 1024 * 1024


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server that greets, takes a command, and answers it so; its port."""

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.sendall(b"* PREAUTH ready\r\n")
                while line := connection.recv(4096):
                    if b"CAPABILITY" in line:
                        tag = line.split()[0]
                        connection.sendall(b"* CAPABILITY IMAP4rev1\r\n" + tag + b" OK done\r\n")
                    else:
                        answer(connection)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
    thread.join(10)


def for_ever(piece: bytes) -> Callable[[socket.socket], None]:
    """An answer that repeats one piece."""

    def answer(connection: socket.socket) -> None:
        while True:
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


def test_no_piece_of_a_command_is_held_back_until_the_server_acknowledges_the_one_before() -> None:
    with serving(for_ever(b"* OK\r\n")) as port:
        mail = Client("127.0.0.1", port, ssl=False, timeout=10)

        assert mail.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

        mail.shutdown()
