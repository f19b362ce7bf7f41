"""Logging: constant events with fields, to standard error."""

from __future__ import annotations

import logging
import sys
import threading
from typing import TYPE_CHECKING

from pdpp_worker.inert import lines
from pdpp_worker.settings import Settings

if TYPE_CHECKING:  # most commands log nothing, and do without it
    from structlog.typing import EventDict, FilteringBoundLogger, Processor

_configuring = threading.Lock()
_waiting: list[Settings] = []
"""The settings that are in force from the first logger on."""


def configure(settings: Settings) -> None:
    """Set up structured logging for this process, at once or with its first logger."""
    with _configuring:
        _waiting[:] = [settings]
    # These log every request, and its URL and headers are the owner's.
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)
    if "structlog" in sys.modules:
        get_logger()


def get_logger() -> FilteringBoundLogger:
    """The process's logger."""
    import structlog

    with _configuring:
        while _waiting:
            _configure(_waiting.pop())
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


def _configure(settings: Settings) -> None:
    import structlog

    renderer: Processor = (
        structlog.processors.JSONRenderer() if settings.log_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _make_inert,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[settings.log_level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=True,
    )


def _make_inert(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Let no value steer the terminal on which somebody reads the log; an exception keeps its lines."""
    return {name: lines(value) if isinstance(value, str) else value for name, value in event.items()}
