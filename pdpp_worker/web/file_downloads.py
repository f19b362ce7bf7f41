"""Stored files of a record: which ones it names, and their content as downloads, streamed whatever form they have."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pdpp_worker.errors import NotFoundError, PdppError
from pdpp_worker.owner import file_reading, lookup
from pdpp_worker.web.console import Console, checked_id

PATH = "/connections/{id:int}/files/{name}"
_CHUNK = 256 * 1024


def route(console: Console) -> Route:
    """The route of a download. Its name is the console's own: a path, and a file's hash, are for no URL."""

    async def endpoint(request: Request) -> Response:
        try:
            return await run_in_threadpool(_answer, console, request.path_params)
        except PdppError as error:
            return PlainTextResponse(str(error), 404)

    return Route(PATH, endpoint)


def links(console: Console, connection_id: int, connection: str, data: Any) -> list[tuple[str, str]]:
    """The files that a record's data names and that are on this host: the title of each, and its URL."""
    store = file_reading.store_of(console.settings, connection_id, connection)
    return [
        (one.title, f"/connections/{connection_id}/files/{console.access.name_of(json.dumps(one))}")
        for one in file_reading.named_in(store, data)
    ]


def _answer(console: Console, asked: dict[str, Any]) -> Response:
    text = console.access.text_of(asked["name"])
    if text is None:
        raise NotFoundError("There is no such file.")
    named = file_reading.NamedFile(*json.loads(text))
    with console.db.begin() as connection:
        row = lookup.by_id(connection, checked_id(asked["id"]))
    file = file_reading.opened(file_reading.store_of(console.settings, row.id, row.name), named.path)
    with ExitStack() as on_failure:
        on_failure.enter_context(file)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(_CHUNK)  # one that cannot be opened is refused before anything is sent
        on_failure.pop_all()
    headers = {
        "content-disposition": f"attachment; filename*=UTF-8''{quote(named.title, safe='', errors='replace')}",
        "content-length": str(size),
    }
    return StreamingResponse(_chunks(first, file), media_type="application/octet-stream", headers=headers)


def _chunks(first: bytes, file: BinaryIO) -> Iterator[bytes]:
    """The bytes; where damage is met further on, the answer ends too early, and a browser says so."""
    with file:
        yield first
        while chunk := file.read(_CHUNK):
            yield chunk
