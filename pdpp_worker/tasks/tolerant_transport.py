"""Kombu's transports for Redis, of which a message that nobody of the fleet has sent costs itself and no worker.

Text that is no JSON, or no message, would end a worker as a fault of its own. Here it is dropped and logged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from queue import Empty
from typing import Any, TypeVar

from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis
from redis.exceptions import DataError

logger = logging.getLogger(__name__)

_FAULTS = (ValueError, TypeError, LookupError, AttributeError, RecursionError, DataError)
"""Failures that a message brings along; a server that is out of reach raises others."""
_SHOWN_CHARACTERS = 200

Read = TypeVar("Read")


class _TolerantChannel:
    """Goes on to the next message after one that is none."""

    def _brpop_read(self, **options: Any) -> Any:
        return _read(lambda: super(_TolerantChannel, self)._brpop_read(**options))  # type: ignore[misc]

    def _receive_one(self, connection: Any) -> Any:
        return _read(lambda: super(_TolerantChannel, self)._receive_one(connection))  # type: ignore[misc]


class _TolerantTransport:
    """Gives back the slot of a message that its receiver could not take: a worker holds a few at a time."""

    channels: list[Any]

    def _deliver(self, message: Any, queue: str) -> None:
        try:
            super()._deliver(message, queue)  # type: ignore[misc]
        except _FAULTS:
            tag = message["properties"]["delivery_tag"]
            for channel in self.channels:
                if tag in channel.qos._delivered:  # noqa: SLF001 - there is no other way to ask
                    channel.basic_reject(tag, requeue=False)
            raise


def _read(read: Callable[[], Read]) -> Read:
    try:
        return read()
    except _FAULTS as error:
        why = f"{type(error).__name__}: {error}"[:_SHOWN_CHARACTERS]
        logger.warning("a message on the broker is none of this fleet's, and is dropped (%s)", why)
        raise Empty from None


class Channel(_TolerantChannel, kombu_redis.Channel):
    """A channel of a server."""


class Transport(_TolerantTransport, kombu_redis.Transport):
    """The transport to a server."""

    Channel = Channel


class SentinelChannel(_TolerantChannel, kombu_redis.SentinelChannel):
    """A channel of the server that sentinels name."""


class SentinelTransport(_TolerantTransport, kombu_redis.SentinelTransport):
    """The transport to the server that sentinels name."""

    Channel = SentinelChannel


def install() -> None:
    """Let Celery take these for `redis://` and its like."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"
    TRANSPORT_ALIASES["sentinel"] = f"{__name__}:SentinelTransport"
