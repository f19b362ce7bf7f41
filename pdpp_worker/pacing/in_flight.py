"""The connections on which requests wait for an answer, so that a process that ends need not wait with them."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any
from weakref import WeakSet


class InFlight:
    """The open connections of this process to providers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sockets: WeakSet[socket.socket] = WeakSet()
        self.is_cut = False
        """Whether requests fail because this process ends."""

    def note(self, event: str, info: Any) -> None:
        """Note a connection that httpcore has made, by its trace of a request."""
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            with self._lock:
                self._sockets.add(info["return_value"].get_extra_info("socket"))

    def cut(self) -> None:
        """Let every request that waits fail now; those that are to come fail too."""
        with self._lock:
            self.is_cut = True
            for one in self._sockets:
                with suppress(OSError):
                    # Of TLS too: its own shutdown would wait for the other side.
                    socket.socket.shutdown(one, socket.SHUT_RDWR)


in_flight = InFlight()
