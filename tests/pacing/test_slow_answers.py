"""A provider that trickles its answer holds a worker for a bounded time only."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest
from redis import Redis

from pdpp_worker.errors import UpstreamError
from pdpp_worker.pacing.transport import PacedTransport
from tests.pacing.test_paced_client import Client
from tests.support.waiting import PATIENCE_S

LONGEST_S = 0.3


@pytest.fixture
def trickling() -> Iterator[str]:
    """The URL of a server whose answers never end, and never pause for long."""
    closed = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            caller, _ = listener.accept()
            with caller, suppress(OSError):
                caller.recv(65536)
                caller.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n")
                while not closed.wait(0.02):
                    caller.sendall(b"x")

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        closed.set()
        thread.join()


def test_an_answer_that_trickles_is_given_up(redis: Redis, trickling: str) -> None:
    pacer = Client(redis, trickling).pacer

    with (
        httpx.Client(transport=PacedTransport(httpx.HTTPTransport(), pacer, LONGEST_S), timeout=PATIENCE_S) as client,
        pytest.raises(UpstreamError, match="no answer in time") as caught,
    ):
        client.get(trickling)

    assert caught.value.reason == "timed_out"
