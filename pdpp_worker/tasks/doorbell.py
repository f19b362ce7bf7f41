"""The doorbell: a message with the id of a run that a worker should take up.

A message that is lost costs time and never work: the run is a row, which the dispatcher finds.
"""

from __future__ import annotations

import threading

from kombu.connection import Connection
from kombu.exceptions import OperationalError

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.needs import request
from pdpp_worker.logs import get_logger
from pdpp_worker.settings import get_settings
from pdpp_worker.store.runs import DueRun
from pdpp_worker.tasks.app import QUEUES, app
from pdpp_worker.tasks.broker_watch import watch

TURN = "pdpp_turn"
"""The header with a message's turn. Not an argument, which workers of an earlier release would refuse."""


def prepare() -> threading.Thread:
    """Make what sends messages; the thread that is returned connects to the broker meanwhile, and sends nothing."""
    _ = app.amqp.producer_pool, app.amqp.router, app.amqp.send_task_message, app.backend
    thread = threading.Thread(target=_connect, name="doorbell", daemon=True)
    thread.start()
    return thread


def _connect() -> None:
    try:
        with app.amqp.producer_pool.acquire(block=True) as producer:
            for name in QUEUES:
                producer.maybe_declare(app.amqp.queues[name])
    except Exception as error:  # noqa: BLE001 - whatever is wrong, the notification meets it, and tells of it
        get_logger().debug("the broker was not connected to ahead", error=type(error).__name__)


def notify(due: DueRun) -> bool:
    """Send the run's id to the queue of its connector; returns whether the broker took it."""
    try:
        queue = registry.get(due.connector).manifest.queue
        headers = {TURN: due.turn}
        app.send_task("pdpp.slice", kwargs={"run": due.run_id}, queue=queue, headers=headers, retry=False)
        request(get_settings().data_dir, queue)
    except (OperationalError, OSError):
        watch.hurry()
        return False
    except ConfigurationError as error:
        get_logger().warning("doorbell not sent", run=due.run_id, error=str(error))
        return False
    return True


def waiting_queues() -> set[str]:
    """The queues in which messages wait for a worker; empty where the broker cannot be asked."""
    with app.connection_for_write() as connection:
        try:
            return {name for name in QUEUES if _waits(connection, name)}
        except (OperationalError, OSError, *connection.connection_errors):
            watch.hurry()
            return set()


def _waits(connection: Connection, queue: str) -> bool:
    with connection.channel() as channel:
        try:
            # Declared as the workers do: asked passively, kombu looks for a Redis queue without its prefix.
            return bool(channel.queue_declare(queue=queue, durable=True, auto_delete=False).message_count)
        except connection.channel_errors:
            return False
