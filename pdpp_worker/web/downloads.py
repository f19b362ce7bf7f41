"""Downloads: everything that a search finds, as JSON lines, streamed page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from pdpp_worker.coverage.documents import plain
from pdpp_worker.owner import lookup
from pdpp_worker.store.views import search_views
from pdpp_worker.store.views.search_views import FoundRecord, Wanted
from pdpp_worker.web.answers import is_odd, read_form
from pdpp_worker.web.console import Console

PATH = "/records/export"
PAGE = 500
"""Records in memory at once."""
_HEADERS = {"content-disposition": 'attachment; filename="records.jsonl"'}


def route(console: Console) -> Route:
    """The route of a download. It is asked for by a form: what somebody looks for is for no URL."""

    async def endpoint(request: Request) -> Response:
        fields = await read_form(request) or {}
        asked = {name: values[0] for name, values in fields.items() if values[0]}
        if any(map(is_odd, asked.values())):
            return PlainTextResponse("It holds a character that nothing can hold.", 400)
        names = await run_in_threadpool(_names, console, asked.get("connection"))
        return StreamingResponse(_lines(console, names, asked), media_type="application/x-ndjson", headers=_HEADERS)

    return Route(PATH, endpoint, methods=["POST"])


def _names(console: Console, chosen: str | None) -> dict[int, str]:
    """The connections that are looked at, id to name."""
    with console.db.begin() as connection:
        return {row.id: row.name for row in lookup.list_all(connection) if chosen in (None, str(row.id))}


def _lines(console: Console, names: Mapping[int, str], asked: Mapping[str, str]) -> Iterator[bytes]:
    wanted: Wanted | None = Wanted(asked.get("words"), asked.get("stream"), limit=PAGE)
    while wanted is not None:
        with console.db.begin() as connection:
            rows = search_views.latest(connection, list(names), wanted)
        yield b"".join(_line(names[row.connection_id], row) for row in rows)
        last = rows[-1] if len(rows) == PAGE else None
        wanted = wanted._replace(after=search_views.place_of(last)) if last else None


def _line(connection: str, row: FoundRecord) -> bytes:
    document = {
        "connection": connection,
        "stream": row.stream,
        "key": row.key,
        "emitted_at": row.emitted_at,
        "deleted_at": row.deleted_at,
        "data": row.data,
    }
    return json.dumps(document, default=plain).encode() + b"\n"
