"""The connections that a worker process holds open: made when a task first needs one, never before a fork."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.sharedctypes import RawValue
from typing import Any

from celery.signals import beat_init, celeryd_init, worker_process_init, worker_ready, worker_shutting_down
from prometheus_client import REGISTRY
from redis import Redis

from pdpp_worker import logs, metrics
from pdpp_worker.fleet_metrics import FleetCollector
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


def database() -> Database:
    """The process's database, whatever its schema."""
    return _connected().db


def stopping() -> bool:
    """Whether this worker is shutting down."""
    return bool(_stopping.value)


@beat_init.connect  # type: ignore[untyped-decorator]
@celeryd_init.connect  # type: ignore[untyped-decorator]
def _configure_logs(**_: object) -> None:
    logs.configure(get_settings())


@worker_ready.connect  # type: ignore[untyped-decorator]
def _serve_metrics(sender: Any, **_: object) -> None:
    """Answer Prometheus. The numbers of the whole fleet are told by the workers of `control`, each of them the same."""
    _serve_own_metrics()
    if get_settings().metrics_port and "control" in sender.app.amqp.queues.consume_from:
        REGISTRY.register(FleetCollector(database))


@worker_process_init.connect  # type: ignore[untyped-decorator]
def _serve_metrics_of_child(**_: object) -> None:
    """A process of a pool counts for itself, so it answers for itself."""
    _serve_own_metrics()


def _serve_own_metrics() -> None:
    settings = get_settings()
    if settings.metrics_port:
        metrics.serve(settings.metrics_address, settings.metrics_port)


@worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _stop(**_: object) -> None:
    _stopping.value = 1
