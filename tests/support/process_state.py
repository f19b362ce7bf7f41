"""The state of a whole process that a test sets, and that the next test must not find.

A command that a test runs in this process configures logging, and settings are read from the environment once.
"""

from __future__ import annotations

import gc
import logging
import warnings

import structlog
from kombu import pools

from pdpp_worker.local.endpoints import resolve
from pdpp_worker.settings import get_settings
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.broker import broker_settings

_QUIETENED = ("httpx", "httpcore")


def forget() -> None:
    """Leave the process as it is before anything is configured."""
    get_settings.cache_clear()
    structlog.reset_defaults()
    for library in _QUIETENED:
        logging.getLogger(library).setLevel(logging.NOTSET)


def lead_app() -> None:
    """Give the Celery app the broker of the environment: it keeps the one that it was first used with, by any test."""
    settings = get_settings()
    wanted = broker_settings(settings, resolve(settings).broker_url.get_secret_value())
    if app.conf.broker_url != wanted["broker_url"]:
        app.conf.update(wanted)
        _drop_pools()
    get_settings.cache_clear()


def _drop_pools() -> None:
    """Close the connections to the broker of before; one that is closed by nobody is closed here, and told by none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        pools.reset()
        app._pool = app.amqp._producer_pool = None
        gc.collect()
