"""The console's server."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import uvicorn
from anyio import to_thread  # comes with starlette

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.fleet import bind, check_password
from pdpp_worker.local.needs import request
from pdpp_worker.owner.session import Database
from pdpp_worker.settings import Settings
from pdpp_worker.web.access import Access, link_to
from pdpp_worker.web.console import Console
from pdpp_worker.web.live import Live
from pdpp_worker.web.site import make_app

THREADS = 24
"""Pages at once: fewer than the database's pool has connections. So a page waits for its turn here, for as long as it
takes, and does not give up there."""
_GRACE_S = 2
_NOTE_EVERY_S = 30.0


class Server:
    """Listens from its beginning, so that its URL is known before it answers.

    Raises:
        ConfigurationError: beyond loopback it has no password, or a short one; or it cannot listen there.
    """

    def __init__(
        self, settings: Settings, db: Database, *, address: str, port: int, descriptor: int | None = None
    ) -> None:
        """`descriptor`: that of a socket that listens there already."""
        check_password(settings, address)
        self.access = Access(settings)
        self._socket = _listen(address, port) if descriptor is None else socket.socket(fileno=descriptor)
        self._data_dir = settings.data_dir
        self._live = Live(db)
        self._app = make_app(Console(settings, db, self.access, self._live))
        self.url = _url(address, self._socket.getsockname()[1])
        self._noted = self.access.note_url(self.url)

    def link(self) -> str:
        """A link that lets in once."""
        return link_to(self.url, self.access)

    def run(self, on_server: Callable[[uvicorn.Server], None] = lambda _: None) -> None:
        """Answer until SIGINT or SIGTERM; `on_server` is told the server, which another thread may stop."""
        config = uvicorn.Config(
            self._app,
            # Neither requests nor their addresses are logged: they are the owner's.
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_graceful_shutdown=_GRACE_S,
            h11_max_incomplete_event_size=64_000,
            proxy_headers=False,
            lifespan="off",
            ws="none",
        )
        server = _Noting(config, self._data_dir)
        on_server(server)
        try:
            server.run(sockets=[self._socket])
        finally:
            self._live.close()
            os.close(self._noted)


class _Noting(uvicorn.Server):
    """Notes now and then that somebody is connected, for a fleet that ends a console which nobody looks at."""

    def __init__(self, config: uvicorn.Config, data_dir: Path) -> None:
        super().__init__(config)
        self._data_dir = data_dir
        self._noted_at = 0.0
        self._answered = 0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Called by uvicorn before it answers."""
        to_thread.current_default_thread_limiter().total_tokens = THREADS
        await super().startup(sockets)

    async def on_tick(self, counter: int) -> bool:
        """Called by uvicorn ten times a second."""
        answered = self.server_state.total_requests
        is_used = bool(self.server_state.connections) or answered > self._answered
        if is_used and time.monotonic() - self._noted_at > _NOTE_EVERY_S:
            request(self._data_dir, "web")
            self._noted_at, self._answered = time.monotonic(), answered
        return await super().on_tick(counter)


def running_link(settings: Settings) -> str:
    """A link that lets in once, to the console of this data directory that runs, the latest of several.

    Raises:
        ConfigurationError: none runs.
    """
    access = Access(settings)
    url = access.running_url()
    if url is None:
        raise ConfigurationError(
            "No console of this data directory runs. Start one: pdpp-worker up, or pdpp-worker web."
        )
    return link_to(url, access)


def _url(address: str, port: int) -> str:
    host = f"[{address}]" if ":" in address else address
    return f"http://{host}:{port}"


def _listen(address: str, port: int) -> socket.socket:
    with suppress(OSError):
        return bind(address, port)
    raise ConfigurationError(
        f"The console cannot listen on {address}:{port}; is another one running there? Choose with PDPP_WEB_PORT."
    )
