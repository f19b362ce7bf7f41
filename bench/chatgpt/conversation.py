"""One very large conversation: as the network answers with it, and as an export holds it."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

KEY = "6b1f0c9e-large"
TOKEN = "bench-token"  # noqa: S105 - opens a made-up account on loopback
_WORDS = "Memory is flat in the size of a conversation, whatever its letters are. "
_TIME = 1_750_000_000.5


def large(megabytes: int, messages: int, *, ascii_only: bool) -> bytes:
    """The conversation as JSON; each message has an emoji, as an escape or as itself."""
    length = megabytes * 1_000_000 // messages - 350
    text = "\U0001f600" + (_WORDS * (length // len(_WORDS) + 1))[:length]
    return json.dumps(_conversation(text, messages), ensure_ascii=ascii_only).encode()


def _conversation(text: str, messages: int) -> dict[str, Any]:
    names = [f"node-{number:06}" for number in range(messages)]
    mapping = {
        name: {
            "id": name,
            "parent": names[number - 1] if number else None,
            "children": names[number + 1 : number + 2],
            "message": {
                "id": name,
                "author": {"role": ("user", "assistant")[number % 2]},
                "create_time": _TIME + number,
                "content": {"content_type": "text", "parts": [text]},
                "metadata": {},
            },
        }
        for number, name in enumerate(names)
    }
    return {"id": KEY, "title": "Large", "create_time": _TIME, "current_node": names[-1], "mapping": mapping}


def write_export(path: Path, conversation: bytes) -> None:
    """An export that holds the conversation and nothing else; packed, its text would be taken for a bomb."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("conversations.json", b"[" + conversation + b"]")


@contextmanager
def served(conversation: bytes) -> Iterator[str]:
    """The platform's API for an account with this one conversation; the address of its backend."""
    answers = {
        "/api/auth/session": json.dumps({"user": {"id": "user-1"}, "accessToken": TOKEN}).encode(),
        "/backend-api/conversations": _list(),
        "/backend-api/memories": b'{"memories": []}',
        f"/backend-api/conversation/{KEY}": conversation,
    }

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = answers.get(urlsplit(self.path).path)
            self.send_response(404 if body is None else 200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/backend-api"
    finally:
        server.shutdown()
        server.server_close()


def _list() -> bytes:
    return json.dumps({"items": [{"id": KEY, "title": "Large", "update_time": _TIME}], "total": 1}).encode()
