"""The upload of blobs for one run of a command: a loopback endpoint under a token of the run."""

from __future__ import annotations

import hmac
import json
import secrets
import socket
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pdpp_worker.command.blob_store import BlobStore, TooLargeError
from pdpp_worker.command.unkept_blobs import UnkeptBlobs
from pdpp_worker.errors import ConfigurationError, StorageFull

PATH = "/v1/blobs"
IDLE_S = 60.0
"""A client that sends nothing for so long is let go."""
DEFAULT_TYPE = "application/octet-stream"

_CHUNK = 256 * 1024
_LINE_BYTES = 256
_DRAIN_S, _DRAIN_BYTES = 1.0, 8 * 1024 * 1024
_REQUIRED = ("connector_id", "connector_instance_id", "stream", "record_key")


class BlobServer(ThreadingHTTPServer):
    """Takes blobs of one run; nothing else of the resource server's API."""

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        store: BlobStore,
        unkept: UnkeptBlobs,
        *,
        connector_id: str,
        connection_id: str,
        streams: Collection[str],
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Upload)
        self.store, self.unkept = store, unkept
        self.connector_id = connector_id
        self.connection_id = connection_id
        self.streams = frozenset(streams)
        self.token = secrets.token_urlsafe(32)
        self.storing = threading.Lock()

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the command."""
        return {"PDPP_RS_URL": f"http://127.0.0.1:{self.server_port}", "PDPP_OWNER_TOKEN": self.token}

    @contextmanager
    def serving(self) -> Iterator[BlobServer]:
        """Serve until the block ends."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True, name="blobs")
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _RefusedError(Exception):
    def __init__(self, status: HTTPStatus, why: str) -> None:
        super().__init__(why)
        self.status = status


class _Upload(BaseHTTPRequestHandler):
    server: BlobServer
    protocol_version = "HTTP/1.1"
    timeout = IDLE_S
    server_version = "pdpp-worker"
    sys_version = ""

    def do_POST(self) -> None:
        """Answer an upload; each has a connection of its own."""
        self.close_connection = True
        with suppress(OSError):
            try:
                self._answer(HTTPStatus.OK, self._stored())
            except _RefusedError as refused:
                self._answer(refused.status, {"error": {"message": str(refused)}})
                self._drain()

    def do_GET(self) -> None:
        """Refuse to be read from."""
        self.close_connection = True
        self._answer(HTTPStatus.NOT_FOUND, {"error": {"message": "blobs are only taken here"}})

    def log_message(self, *_: Any) -> None:
        """Addresses hold keys of records, which belong into no log."""

    def _stored(self) -> dict[str, Any]:
        address = urlsplit(self.path)
        if address.path != PATH:
            raise _RefusedError(HTTPStatus.NOT_FOUND, f"there is only {PATH}")
        self._check_token()
        asked = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self._check(asked)
        of = asked["stream"], asked["record_key"]
        try:
            with self.server.storing:
                blob = self.server.store.add(self._body())
                self.server.unkept.keep(*of)
        except TooLargeError as error:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, str(error)) from None
        except StorageFull as error:
            self.server.unkept.refuse(*of, str(error))
            raise _RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, str(error)) from None
        except ConfigurationError as error:
            raise _RefusedError(HTTPStatus.INSUFFICIENT_STORAGE, str(error)) from None
        return {
            "object": "blob",
            "blob_id": blob.blob_id,
            "mime_type": asked.get("mime_type", DEFAULT_TYPE),
            "sha256": blob.sha256,
            "size_bytes": blob.size,
        }

    def _check_token(self) -> None:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _RefusedError(HTTPStatus.UNAUTHORIZED, "a bearer token is missing")
        if not hmac.compare_digest(token.encode(), self.server.token.encode()):
            raise _RefusedError(HTTPStatus.FORBIDDEN, "the token is not that of this run")

    def _check(self, asked: dict[str, str]) -> None:
        for name in _REQUIRED:
            if not asked.get(name):
                raise _RefusedError(HTTPStatus.BAD_REQUEST, f"{name} is missing")
        ours = self.server.connector_id, self.server.connection_id
        if (asked["connector_id"], asked["connector_instance_id"]) != ours:
            raise _RefusedError(HTTPStatus.FORBIDDEN, "the token is of another connection")
        if asked["stream"] not in self.server.streams:
            raise _RefusedError(HTTPStatus.NOT_FOUND, "there is no such stream")
        pointer = asked.get("json_path", "@record")
        if pointer != "@record" and not pointer.startswith("/"):
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "json_path is neither @record nor a JSON pointer")

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            return self._chunks()
        return self._read(self._length())

    def _length(self) -> int:
        text = self.headers.get("content-length", "")
        if not text.isascii() or not text.isdecimal():
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the length of the body is not known")
        return int(text)

    def _chunks(self) -> Iterator[bytes]:
        while size := self._chunk_size():
            yield from self._read(size)
            self.rfile.readline(_LINE_BYTES)
        while self.rfile.readline(_LINE_BYTES).strip():  # trailers
            pass

    def _chunk_size(self) -> int:
        line = self.rfile.readline(_LINE_BYTES).partition(b";")[0].strip()
        try:
            return int(line, 16)
        except ValueError:
            raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body is not chunked as it says") from None

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            if not (part := self.rfile.read(min(size, _CHUNK))):
                raise _RefusedError(HTTPStatus.BAD_REQUEST, "the body ends too early")
            size -= len(part)
            yield part

    def _drain(self) -> None:
        """Read on for a moment, else the client sees a broken connection instead of the answer."""
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_DRAIN_S)
        left = _DRAIN_BYTES
        while left > 0 and (part := self.rfile.read1(min(left, _CHUNK))):
            left -= len(part)

    def _answer(self, status: HTTPStatus, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(text)
