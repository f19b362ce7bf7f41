"""Downloads: everything that a search finds, as JSON lines, streamed page by page."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pdpp_worker import registry
from pdpp_worker.coverage.documents import plain
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import lookup
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.store.views import search_views
from pdpp_worker.store.views.search_views import FoundRecord, Wanted
from pdpp_worker.web.answers import json_answer, read_form
from pdpp_worker.web.asked_texts import refusal
from pdpp_worker.web.console import Console
from pdpp_worker.web.record_filters import narrowed

PATH = "/records/export"
PAGE = 500
"""Records in memory at once."""
_HEADERS = {"content-disposition": 'attachment; filename="records.jsonl"'}


def route(console: Console) -> Route:
    """The route of a download. It is asked for by a form: what somebody looks for is for no URL."""

    async def endpoint(request: Request) -> Response:
        fields = await read_form(request) or {}
        asked = {name: values[0] for name, values in fields.items() if values[0]}
        try:
            if refused := refusal(asked.items()):
                raise refused
            rows = await run_in_threadpool(_rows, console, asked.get("connection"))
            wanted = _wanted(rows, asked)
        except ConfigurationError as error:
            return json_answer({"error": error.slug, "message": str(error)}, 400)
        names = {row.id: row.name for row in rows}
        return StreamingResponse(_lines(console, names, wanted), media_type="application/x-ndjson", headers=_HEADERS)

    return Route(PATH, endpoint, methods=["POST"])


def _rows(console: Console, chosen: str | None) -> list[ConnectionRow]:
    """The connections that are looked at."""
    with console.db.begin() as connection:
        return [row for row in lookup.list_all(connection) if chosen in (None, str(row.id))]


def _wanted(rows: Sequence[ConnectionRow], asked: Mapping[str, str]) -> Wanted:
    """The records that a form asks for. Who wrote one is told by the one connection that is looked at."""
    connector = registry.all_connectors().get(rows[0].connector) if len(rows) == 1 else None
    declared = connector.manifest.stream(asked.get("stream", "")) if connector else None
    return narrowed(Wanted(asked.get("words"), asked.get("stream"), limit=PAGE), asked.get, declared)


def _lines(console: Console, names: Mapping[int, str], first: Wanted) -> Iterator[bytes]:
    wanted: Wanted | None = first
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
