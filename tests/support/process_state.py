"""The state of a whole process that a test sets, and that the next test must not find.

A command that a test runs in this process configures logging, and settings are read from the environment once.
"""

from __future__ import annotations

import logging

import structlog

from pdpp_worker.settings import get_settings

_QUIETENED = ("httpx", "httpcore")


def forget() -> None:
    """Leave the process as it is before anything is configured."""
    get_settings.cache_clear()
    structlog.reset_defaults()
    for library in _QUIETENED:
        logging.getLogger(library).setLevel(logging.NOTSET)
