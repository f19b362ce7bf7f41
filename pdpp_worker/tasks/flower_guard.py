"""Flower behind a guard: it answers under its own names alone, and its metrics ask for the password too.

Another name could be one that a page on the internet lets point to this machine, to read what Flower answers.
"""

from __future__ import annotations

import socket
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import flower.command
from flower.app import Flower
from flower.views.monitor import Metrics
from tornado.web import ErrorHandler, authenticated

from pdpp_worker.settings import get_settings

_MISDIRECTED = 421


class ClosedMetrics(Metrics):  # type: ignore[misc]
    """Metrics for those whom Flower lets in."""

    @authenticated
    async def get(self) -> None:
        """Answer with the metrics."""
        await super().get()


class GuardedFlower(Flower):  # type: ignore[misc]
    """Flower that refuses foreign hosts."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._hosts = frozenset({"localhost", socket.gethostname().lower(), *get_settings().flower_hosts})

    def find_handler(self, request: Any, **arguments: Any) -> Any:
        """Choose who answers a request."""
        if not is_own_host(request.host, self._hosts):
            return self.get_handler_delegate(request, ErrorHandler, {"status_code": _MISDIRECTED})
        found = super().find_handler(request, **arguments)
        if getattr(found, "handler_class", None) is Metrics:
            return self.get_handler_delegate(request, ClosedMetrics)
        return found


def is_own_host(host: str, names: frozenset[str]) -> bool:
    """Whether a `Host` header names this server: by an address, which no page can give to its own, or by a name."""
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    try:
        ip_address(name)
    except ValueError:
        return name in names
    return True


def install() -> None:
    """Let `celery flower` start this one."""
    flower.command.Flower = GuardedFlower
