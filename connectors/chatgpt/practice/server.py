"""The listening process: from binding the port to the last closed connection."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from connectors.chatgpt.practice import api, control
from connectors.chatgpt.practice.backend import Backend
from connectors.chatgpt.practice.files import replacing
from connectors.chatgpt.practice.options import ProviderOptions

HOST = "127.0.0.1"


def application(backend: Backend) -> Application:
    """All routes; the log of the backend is the only access log."""
    return Application([*control.routes(backend), *api.routes(backend)], log_function=_no_access_log)


async def serve(options: ProviderOptions) -> None:
    """Serve until SIGTERM, SIGINT or, if asked to watch it, the end of standard input.

    Raises OSError if the port is taken, ValueError if the state file belongs to another account.
    """
    backend = Backend(options)
    server = HTTPServer(application(backend))
    sockets = bind_sockets(options.port, HOST)
    server.add_sockets(sockets)
    stopped = _stop_request(options)
    _announce(options, sockets[0].getsockname()[1])
    await stopped.wait()
    server.stop()
    await server.close_all_connections()
    backend.journal.close()


def _announce(options: ProviderOptions, port: int) -> None:
    url = f"http://{HOST}:{port}"
    line = json.dumps({"base_url": f"{url}/backend-api", "url": url, "pid": os.getpid()}) + "\n"
    if options.ready_file:
        with replacing(options.ready_file) as draft:
            draft.write_text(line, encoding="utf-8")
    sys.stdout.write(line)
    sys.stdout.flush()


def _stop_request(options: ProviderOptions) -> asyncio.Event:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.watch_stdin:
        # Nobody writes to the pipe: readable means that the parent closed it or is gone.
        loop.add_reader(sys.stdin, stopped.set)
    return stopped


def _no_access_log(handler: RequestHandler) -> None:
    """Writes no access log: the backend has written the request down."""
