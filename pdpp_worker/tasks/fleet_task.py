"""Tasks and loggers that tell of an outage once, instead of a traceback for everybody who meets it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.signals import after_setup_logger
from kombu.exceptions import OperationalError

from pdpp_worker.errors import SchemaMismatchError
from pdpp_worker.outages import DATABASE, SCHEMA
from pdpp_worker.owner.audit import acting_as
from pdpp_worker.store.engine import why_away
from pdpp_worker.tasks.broker_watch import watch

_OF_THE_BROKER, _OF_TASKS = ("celery", "kombu"), "celery.app.trace"
"""The loggers that speak of the broker. A task that fails on a file has an OSError too, and is another matter."""


@contextmanager
def told() -> Iterator[None]:
    """Tell once of a database that is out of reach inside the block, or has another schema.

    Raises:
        Ignore: it is; nothing was lost, since what is due stays due.
    """
    asked_at = time.monotonic()
    try:
        yield
    except SchemaMismatchError as error:
        SCHEMA.began(str(error), asked_at)
        raise Ignore from None
    except Exception as error:
        if (why := why_away(error)) is None:
            raise
        DATABASE.began(why, asked_at)
        raise Ignore from None
    DATABASE.over()
    SCHEMA.over()


class FleetTask(Task):  # type: ignore[misc]
    """A task that tells once of an outage that it meets."""

    abstract = True
    Request = "pdpp_worker.tasks.plain_request:PlainRequest"

    def apply_async(
        self, args: Any = None, kwargs: Any = None, *, most_waiting: int | None = None, **options: Any
    ) -> Any:
        """Send it; None, and nothing was sent, where so many messages wait in its queue as are let wait.

        A producer of the pool sends it: beat's own would keep a connection that was lost for ever.
        """
        options.pop("producer", None)
        if most_waiting is not None and self._waiting() >= most_waiting:
            return None
        return super().apply_async(args, kwargs, **options)

    def _waiting(self) -> int:
        """How many messages wait in its queue."""
        queue = self.app.amqp.router.route({}, self.name)["queue"].name
        with self.app.connection_or_acquire() as connection:
            declared = connection.default_channel.queue_declare(queue=queue, durable=True, auto_delete=False)
            return int(declared.message_count)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        with told(), acting_as(f"task {self.name}"):
            return super().__call__(*args, **kwargs)


class OncePerOutage(logging.Filter):
    """Drops what Celery says of a broker that is out of reach; the watch of the broker says it once."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        is_told = _is_of_the_broker(record)
        if is_told:
            watch.hurry()
        return not is_told


def _is_of_the_broker(record: logging.LogRecord) -> bool:
    """Whether a record is about a failure of the broker."""
    if record.levelno < logging.WARNING or not record.name.startswith(_OF_THE_BROKER) or record.name == _OF_TASKS:
        return False
    raised = record.exc_info[1] if record.exc_info else None
    told_of = record.args if isinstance(record.args, tuple) else ()
    return any(isinstance(error, _broker_errors()) for one in (raised, *told_of) for error in _chain(one))


def _chain(error: object) -> Iterator[BaseException]:
    """An error, and those that it was raised from."""
    while isinstance(error, BaseException):
        yield error
        error = error.__cause__ or error.__context__


@lru_cache(maxsize=1)
def _broker_errors() -> tuple[type[BaseException], ...]:
    from pdpp_worker.tasks.app import app  # which is made of this file's tasks

    return (OperationalError, *app.connection_for_write().connection_errors)


@after_setup_logger.connect  # type: ignore[untyped-decorator]
def _tell_once(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.addFilter(OncePerOutage())
