"""A way to PostgreSQL that can delay what is sent, cut it, or swallow it, as for a host that is cut off."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress
from typing import Self

from tests.chaos.servers import HOST

CHUNK = 65_536


class Proxy:
    """Forwards TCP connections to a port of this machine."""

    def __init__(self, to_port: int, at: str = HOST) -> None:
        self._to = (HOST, to_port)
        self._listener = socket.create_server((at, 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._swallows = False
        self.delay_s = 0.0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def swallow(self) -> None:
        """Pass nothing on from now on, and refuse nothing: neither side hears of it."""
        self._swallows = True

    def forward(self) -> None:
        """Pass on what comes from now on. Swallowed bytes are lost, and so are their connections."""
        self._swallows = False

    def cut(self) -> None:
        """Reset every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._to, timeout=5)
                except OSError:
                    client.close()
                    continue
                server.settimeout(None)
                with self._lock:
                    self._pairs.append((client, server))
                lost = threading.Event()
                for ends in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=(*ends, lost), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket, lost: threading.Event) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                if self._swallows:
                    lost.set()
                if lost.is_set():
                    continue
                if self.delay_s:
                    time.sleep(self.delay_s)
                target.sendall(data)
        if not lost.is_set():
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
