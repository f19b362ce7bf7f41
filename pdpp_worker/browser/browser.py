"""Drives a browser on a connection's profile: started with the first request, closed with the slice."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

import pdpp_worker
from pdpp_worker.browser import launch, profile
from pdpp_worker.browser.frames import HEADER, Kind, json_frame
from pdpp_worker.local.parent_death import with_parent_death_signal
from pdpp_worker.settings import Settings
from pdpp_worker.store.connections import ConnectionRow

START_S = 90.0
"""Longest time that the start of a browser may take; it counts as connecting, s."""
CLOSE_S = 15.0
"""Longest time that the browser gets to write its cookies down before it is killed, s."""
GRACE_S = 5.0
"""Time beyond a request's own timeout in which the browser's process can report it, s."""
_PROFILE_S = 5.0


class Browser:
    """Sends requests one at a time. Raises ConfigurationError when this machine has no browser to drive."""

    def __init__(self, settings: Settings, row: ConnectionRow) -> None:
        self._settings = settings
        self._environment = settings.browser_environment()
        self._profile = profile.profile_dir(settings, row)
        self._options = {
            "executable": str(launch.require(settings)),
            "profile": str(self._profile),
            "headed": settings.browser_headed,
            "sandbox": launch.is_sandboxed(),
            "flags": launch.FLAGS,
        }
        self._open = ExitStack()
        self._socket: socket.socket | None = None

    def send(self, request: httpx.Request, on_sent: Callable[[], None]) -> Iterator[dict[str, Any] | bytes]:
        """The head of the answer, then its body in pieces; `on_sent` is called when the request has left.

        Raises:
            httpx.TransportError: the browser did not start or died, or no answer came in time.
        """
        timeout_s: float = request.extensions["timeout"]["read"]
        wire = self._connected()
        finished = False
        try:
            wire.settimeout(timeout_s + GRACE_S)
            wire.sendall(_request_frame(request, timeout_s))
            for kind, payload in _frames(wire):
                if kind is Kind.SENT:
                    on_sent()
                elif kind is Kind.HEAD:
                    yield json.loads(payload)
                elif kind is Kind.BODY:
                    yield payload
                else:
                    finished = True
                    _require_success(kind, payload)
                    return
        except TimeoutError:
            raise httpx.ReadTimeout("the browser does not answer") from None
        except OSError as error:
            raise httpx.ReadError("the browser went away") from error
        finally:
            if not finished:
                self._open.close()

    def close(self) -> None:
        """Close the browser; it writes the profile down first."""
        self._open.close()

    def _connected(self) -> socket.socket:
        if self._socket is None:
            try:
                self._socket = self._start()
            except OSError as error:
                self._open.close()
                raise httpx.ConnectError(f"the browser did not start ({error})") from error
            except BaseException:
                self._open.close()
                raise
        return self._socket

    def _start(self) -> socket.socket:
        self._open.enter_context(profile.opened(self._profile, timeout_s=_PROFILE_S, settings=self._settings))
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "pdpp_worker.browser.host", json.dumps(self._options)]
            process = subprocess.Popen(
                # Ends with this worker, however that ends; what the browser started ends with it.
                with_parent_death_signal(command, signal.SIGTERM),
                cwd=Path(pdpp_worker.__file__).parent.parent,
                env=self._environment,
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                process_group=0,
            )
        self._open.callback(self._end, process, ours)
        ours.settimeout(START_S)
        kind, payload = next(_frames(ours))
        if kind is not Kind.READY:
            raise httpx.ConnectError(json.loads(payload)["why"])
        return ours

    def _end(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self._socket = None
        ours.close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(CLOSE_S)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        profile.end_orphans(self._profile)


def _request_frame(request: httpx.Request, timeout_s: float) -> bytes:
    body = request.read()
    return json_frame(
        Kind.REQUEST,
        method=request.method,
        url=str(request.url),
        headers=[(name, value) for name, value in request.headers.items() if name not in _BROWSERS_OWN],
        body=base64.b64encode(body).decode() if body else None,
        timeout_s=timeout_s,
    )


_BROWSERS_OWN = frozenset(
    ["accept-encoding", "connection", "content-length", "cookie", "host", "transfer-encoding", "user-agent"]
)
"""Headers that the browser sets itself, and no page may set for it."""


def _frames(wire: socket.socket) -> Iterator[tuple[Kind, bytes]]:
    while True:
        letter, size = HEADER.unpack(_exactly(wire, HEADER.size))
        yield Kind(letter), _exactly(wire, size)


def _exactly(wire: socket.socket, size: int) -> bytes:
    data = bytearray(size)
    view, held = memoryview(data), 0
    while held < size:
        got = wire.recv_into(view[held:])
        if got == 0:
            raise ConnectionError("closed")
        held += got
    return bytes(data)


def _require_success(kind: Kind, payload: bytes) -> None:
    if kind is Kind.FAILED:
        failure = json.loads(payload)
        raise httpx.ReadTimeout(failure["why"]) if failure["timed_out"] else httpx.ReadError(failure["why"])
