"""The socket to a server of this machine takes in several blocks of COPY, and that of another machine is let alone."""

from __future__ import annotations

import os
from socket import AF_INET, SO_SNDBUF, SOL_SOCKET, socket, socketpair

from pdpp_worker.store.copy_rows import BLOCK_BYTES
from pdpp_worker.store.silence import widen
from tests.support.desk import Desk


def sending_bytes(one: socket) -> int:
    """The size that the system gave the socket's queue of what is sent."""
    return one.getsockopt(SOL_SOCKET, SO_SNDBUF)


def test_a_connection_to_this_machine_takes_in_more_than_a_usual_one(desk: Desk) -> None:
    with desk.db.begin() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        with socket(fileno=os.dup(driver.pgconn.socket)) as ours:
            size = sending_bytes(ours)
    usual, other = socketpair()

    with usual, other:
        assert size > max(sending_bytes(usual), 2 * BLOCK_BYTES)


def test_a_connection_to_another_machine_stays_as_the_system_makes_it() -> None:
    with socket(AF_INET) as far:
        before = sending_bytes(far)
        widen(far.fileno())

        assert sending_bytes(far) == before
