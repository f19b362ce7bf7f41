"""The state of a whole process that a test sets, and that the next test must not find.

A command that a test runs in this process configures logging, and settings are read from the environment once.
"""

from __future__ import annotations

import logging

import structlog

from pdpp_worker.local.endpoints import resolve
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.broker import broker_settings

_QUIETENED = ("httpx", "httpcore")


def forget() -> None:
    """Leave the process as it is before anything is configured."""
    get_settings.cache_clear()
    structlog.reset_defaults()
    for library in _QUIETENED:
        logging.getLogger(library).setLevel(logging.NOTSET)


def lead_app(settings: Settings) -> None:
    """Give the Celery app these settings' broker: it keeps the one that it was first used with, by whatever test."""
    wanted = broker_settings(settings, resolve(settings).broker_url.get_secret_value())
    if app.conf.broker_url != wanted["broker_url"]:
        app.conf.update(wanted)
        app.pool.force_close_all()
        app._pool = app.amqp._producer_pool = None
