"""Tasks and loggers that tell of an outage once, instead of a traceback for everybody who meets it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from celery import Task
from celery.exceptions import Ignore
from celery.signals import after_setup_logger, after_task_publish
from kombu.exceptions import OperationalError

from pdpp_worker.errors import SchemaMismatchError
from pdpp_worker.outages import BROKER, DATABASE, SCHEMA
from pdpp_worker.owner.audit import acting_as
from pdpp_worker.store.engine import why_away

_CONNECTED = "Connected to %s"
_OF_THE_BROKER = ("celery.beat", "celery.worker.consumer", "kombu")
"""The loggers that speak of the broker. A task that fails on a file has an OSError too, and is another matter."""


@contextmanager
def told() -> Iterator[None]:
    """Tell once of a database that is out of reach inside the block, or has another schema.

    Raises:
        Ignore: it is; nothing was lost, since what is due stays due.
    """
    try:
        yield
    except SchemaMismatchError as error:
        SCHEMA.began(str(error))
        raise Ignore from None
    except Exception as error:
        if (why := why_away(error)) is None:
            raise
        DATABASE.began(why)
        raise Ignore from None
    DATABASE.over()
    SCHEMA.over()


class FleetTask(Task):  # type: ignore[misc]
    """A task that tells once of an outage that it meets."""

    abstract = True

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        with told(), acting_as(f"task {self.name}"):
            return super().__call__(*args, **kwargs)


class OncePerOutage(logging.Filter):
    """Drops what Celery says of a broker that is out of reach, and says it once."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is to be logged."""
        if record.msg == _CONNECTED:
            BROKER.over()
        error = _failure(record)
        if error is not None:
            BROKER.began(str(error))
        return error is None


def _failure(record: logging.LogRecord) -> BaseException | None:
    """The failure of the broker that a record is about."""
    if record.levelno < logging.WARNING or not record.name.startswith(_OF_THE_BROKER):
        return None
    raised = record.exc_info[1] if record.exc_info else None
    told_of = record.args if isinstance(record.args, tuple) else ()
    return next((one for one in (raised, *told_of) if isinstance(one, _broker_errors())), None)


@lru_cache(maxsize=1)
def _broker_errors() -> tuple[type[BaseException], ...]:
    from pdpp_worker.tasks.app import app  # which is made of this file's tasks

    return (OperationalError, *app.connection_for_write().connection_errors)


@after_setup_logger.connect  # type: ignore[untyped-decorator]
def _tell_once(logger: logging.Logger, **_: object) -> None:
    for handler in logger.handlers:
        handler.addFilter(OncePerOutage())


@after_task_publish.connect  # type: ignore[untyped-decorator]
def _published(**_: object) -> None:
    BROKER.over()
