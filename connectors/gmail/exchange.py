"""One exchange with a server: a failure has a type, and an answer that trickles has an end."""

from __future__ import annotations

import imaplib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from connectors.gmail.errors import RefusedError, lost_connections, quoted, typed, words_of

LONGEST_ANSWER_S = 180.0
"""From a command to the end of its answer; the socket's timeout bounds only the pauses within."""


@contextmanager
def typed_failures(label: str, last_words: Callable[[], str]) -> Iterator[None]:
    """Turn a failure inside the block into a ProviderError; `last_words` are the server's before it hung up."""
    with lost_connections(label, last_words):
        try:
            yield
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error as error:
            raise refusal_of(label, error) from None


def refusal_of(label: str, error: imaplib.IMAP4.error) -> RefusedError:
    """The refusal of one command; raises what the words stand for where that concerns more than this one."""
    said = words_of(error)
    if (outcome := typed(said, label)) is not None:
        raise outcome from None
    return RefusedError(f"{label}: {quoted(said)}")


@contextmanager
def ended_in_time(sock: socket.socket, begun_at: float | None = None) -> Iterator[None]:
    """Hang up on a server that trickles: its answer has to be there by a deadline.

    `begun_at`: when the exchange began, monotonic, s; None: now.
    """
    left_s = LONGEST_ANSWER_S - (0.0 if begun_at is None else time.monotonic() - begun_at)

    def hang_up() -> None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(left_s, hang_up)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
