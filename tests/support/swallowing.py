"""A way to PostgreSQL that can swallow what is sent on it, as a host does that is cut off."""

from __future__ import annotations

import selectors
import socket
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from sqlalchemy import URL


class SwallowingProxy:
    """Forwards TCP connections to the socket of a server, for PostgreSQL that of its URL.

    Bytes that come while it swallows reach neither side.
    """

    def __init__(self, to: URL | Path) -> None:
        self._to = str(to) if isinstance(to, Path) else f"{to.query['host']}/.s.PGSQL.{to.query['port']}"
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._swallows = threading.Event()
        self._new_too = False
        self._ends: list[socket.socket] = []

    def swallow(self, *, new_too: bool = True) -> None:
        """Forward nothing from now on; without `new_too`, connections that are made from now on work."""
        self._new_too = new_too
        self._swallows.set()

    def forward(self) -> None:
        """Forward again, on connections that are made from now on."""
        self._swallows.clear()

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        for end in self._ends:
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._to)
                self._ends += [client, server]
                dead = self._swallows.is_set() and self._new_too
                ever_dead = self._swallows.is_set() and not self._new_too
                threading.Thread(target=self._carry, args=(client, server, dead, ever_dead), daemon=True).start()

    def _carry(self, client: socket.socket, server: socket.socket, dead: bool, immune: bool) -> None:
        with suppress(OSError), selectors.DefaultSelector() as ready:
            ready.register(client, selectors.EVENT_READ, server)
            ready.register(server, selectors.EVENT_READ, client)
            while True:
                for key, _ in ready.select():
                    assert isinstance(key.fileobj, socket.socket)
                    data = key.fileobj.recv(65536)
                    dead = dead or (self._swallows.is_set() and not immune)
                    if dead:
                        if not data:
                            return
                    elif data:
                        key.data.sendall(data)
                    else:
                        key.data.shutdown(socket.SHUT_WR)
                        return
