"""Asks the broker for a sign of life, beside the work, and tells of its outages.

Celery notices late that a broker is gone, or not at all while nothing is sent, and then each of its parts says so by
itself. So one thread of each process asks, over a connection of its own, and only that thread speaks of the broker.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from celery.signals import beat_init, celeryd_init
from kombu.connection import Connection

from pdpp_worker.outages import BROKER, Outage

EVERY_S = 3.0
"""Time between two questions, s."""
HEARTBEAT_S = 4
"""Interval of the heartbeats of a broker that sends some, s; it is given up after two that are missing."""
READ_S = 0.2
"""How long such a broker's heartbeats are read for, s."""


def _connection() -> Connection:
    """A connection that tells of a failure at once, since it is asked again anyway."""
    from pdpp_worker.tasks.app import app  # which tells this watch of failures

    own = {"max_retries": 0, "retry_on_timeout": False}
    made: Connection = app.connection_for_write(heartbeat=HEARTBEAT_S, transport_options=own)
    return made


class BrokerWatch:
    """One thread that asks."""

    def __init__(self, outage: Outage = BROKER, connect: Callable[[], Connection] = _connection) -> None:
        self._outage = outage
        self._connect = connect
        self._hurry = threading.Event()
        self._connection: Connection | None = None

    def start(self) -> None:
        """Ask from now on, until the process ends."""
        threading.Thread(target=self._work, name="broker-watch", daemon=True).start()

    def hurry(self) -> None:
        """Ask now, because somebody met a failure. Without effect in a process that has no watch."""
        self._hurry.set()

    def look(self) -> None:
        """Ask once, and tell of what is new."""
        try:
            self._ask()
        except Exception as error:  # noqa: BLE001 - of whichever library speaks to this broker
            self._drop()
            self._outage.began(str(error) or type(error).__name__)
        else:
            self._outage.over()

    def _work(self) -> None:
        while True:
            self.look()
            self._hurry.wait(EVERY_S)
            self._hurry.clear()

    def _ask(self) -> None:
        if self._connection is None:
            self._connection = self._connect()
        broker = self._connection.ensure_connection(max_retries=0)
        if broker.supports_heartbeats:
            broker.heartbeat_check()
            with suppress(TimeoutError):
                broker.drain_events(timeout=READ_S)
        else:
            broker.default_channel.queue_declare(queue="control", durable=True, auto_delete=False)

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.collect()


watch = BrokerWatch()


@beat_init.connect  # type: ignore[untyped-decorator]
@celeryd_init.connect  # type: ignore[untyped-decorator]
def _start(**_: object) -> None:
    watch.start()
