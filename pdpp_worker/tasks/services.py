"""The connections that a worker process holds open: made when a task first needs one, never before a fork."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.sharedctypes import RawValue

from celery.signals import beat_init, celeryd_init, worker_ready, worker_shutting_down
from redis import Redis

from pdpp_worker import logs, metrics
from pdpp_worker.local.endpoints import resolve
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store.engine import Database
from pdpp_worker.store.migrate import require_current

# Shared with forked children, which do not get the worker's own signal. Without a lock: a child that is killed while it
# holds one would block everybody else.
_stopping = RawValue("b", 0)


@dataclass(frozen=True)
class Services:
    """The servers of this process."""

    settings: Settings
    db: Database
    redis: Redis


def services() -> Services:
    """The process's services.

    Raises:
        ServerAwayError: the database is out of reach.
        SchemaMismatchError: this code cannot work with its schema; a migration may come at any time.
    """
    own = _connected()
    require_current(own.db)
    return own


@lru_cache(maxsize=1)
def _connected() -> Services:
    settings = get_settings()
    endpoints = resolve(settings)
    db = Database(endpoints.database_url.get_secret_value())
    db.check()
    return Services(settings, db, connect(endpoints.redis_url.get_secret_value(), settings.broker_timeout_s))


def stopping() -> bool:
    """Whether this worker is shutting down."""
    return bool(_stopping.value)


@beat_init.connect  # type: ignore[untyped-decorator]
@celeryd_init.connect  # type: ignore[untyped-decorator]
def _configure_logs(**_: object) -> None:
    logs.configure(get_settings())


@worker_ready.connect  # type: ignore[untyped-decorator]
def _serve_metrics(**_: object) -> None:
    port = get_settings().metrics_port
    if port:
        metrics.serve(port)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    _stopping.value = 1
