"""Pages about what is held: search, the records of a stream, one record, and threads to read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import datetime

from pdpp_worker.coverage.outlook import Outlook
from pdpp_worker.errors import NotFoundError
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store.views import coverage_views, search_views, version_views
from pdpp_worker.store.views.search_views import FoundRecord, Place, Wanted
from pdpp_worker.web import file_downloads
from pdpp_worker.web.console import Page, Visit
from pdpp_worker.web.entries import Entry, columns, entry_of, member, passage, title_of
from pdpp_worker.web.pages.connection import one
from pdpp_worker.web.pages.home import outlooks
from pdpp_worker.web.record_filters import FILTERS, narrowed
from pdpp_worker.web.version_changes import in_short

PAGE = 50
LONGEST_THREAD = 500


def search(visit: Visit) -> Page:
    """Find what is held by its words: in everything, a connection, or a stream."""
    found, words = outlooks(visit, visit.number("connection")), visit.text("words")
    by_id = {each.view.id: each for each in found}
    wanted = _wanted(visit, words, visit.text("stream"))
    rows = search_views.latest(visit.connection, list(by_id), wanted) if words else []
    hits = [
        replace(
            _entry(visit, by_id[row.connection_id], row),
            passage=passage(row.data, words or "", _declared(by_id[row.connection_id], row.stream)),
        )
        for row in rows
    ]
    held = coverage_views.records_held(visit.connection, list(by_id))
    document = {
        "hits": hits,
        "next": _next(visit, rows, wanted),
        "waiting": search_views.waiting(visit.connection),
    }
    streams = [(by_id[id_].view, stream, count) for (id_, stream), count in sorted(held.items()) if count]
    names = {each.view.id: each.view.name for each in outlooks(visit)}
    asked = {name: visit.text(name) or "" for name in ("connection", "stream")}
    return Page("records.html", document, {"words": words, "streams": streams, "names": names, "query": asked})


def stream(visit: Visit) -> Page:
    """The records of a stream as a table, the latest first: all, or those of a period and of an author."""
    outlook = one(visit, visit.id)
    declared = _declared(outlook, visit.stream)
    wanted = narrowed(_wanted(visit, None, visit.stream), visit.text, declared)
    rows = search_views.latest(visit.connection, [visit.id], wanted)
    shown = columns(declared)
    document = {
        "connection": outlook.view.name,
        "stream": visit.stream,
        "records": [
            {**asdict(_entry(visit, outlook, row)), "members": {name: row.data.get(name) for name in shown}}
            for row in rows
        ],
        "next": _next(visit, rows, wanted),
        "waiting": search_views.waiting(visit.connection),
    }
    asked = {name: visit.text(name) for name in FILTERS if visit.text(name) is not None}
    has_author = declared is not None and declared.reading.author is not None
    frame = {"columns": shown, "member": member, "outlook": outlook, "asked": asked, "has_author": has_author}
    return Page("stream.html", document, frame)


def record(visit: Visit) -> Page:
    """One record, with what is read under it."""
    outlook, row = _found(visit)
    declared = _declared(outlook, visit.stream)
    below = {each.name: _in_threads(visit, outlook, each, [row.key]) for each in _below(outlook, visit.stream)}
    document = {
        "connection": outlook.view.name,
        **{name: value for name, value in asdict(row).items() if name != "connection_id"},
        "title": title_of(row, declared),
        "below": below,
        "versions": in_short(version_views.of_record(visit.connection, visit.id, row.stream, row.key), row.data),
    }
    shown = {
        "outlook": outlook,
        "entry": _entry(visit, outlook, row),
        "name": visit.path["name"],
        "files": file_downloads.links(visit.console, visit.id, outlook.view.name, row.data),
        "thread": visit.console.access.name_of(row.thread) if row.thread is not None and declared else None,
    }
    return Page("record.html", document, shown)


def version(visit: Visit) -> Page:
    """An earlier version of a record."""
    outlook, row = _found(visit)
    kept = version_views.of_record(visit.connection, visit.id, row.stream, row.key)
    found = next((one for one in kept if one.place == visit.path["place"]), None)
    if found is None:
        raise NotFoundError("There is no such version, or it is not kept any more.")
    document = {
        "connection": outlook.view.name,
        "stream": row.stream,
        "key": row.key,
        "title": title_of(row, _declared(outlook, row.stream)),
        **asdict(found),
    }
    return Page("version.html", document, {"outlook": outlook, "name": visit.path["name"]})


def thread(visit: Visit) -> Page:
    """The records of a stream that belong together, in their order."""
    outlook = one(visit, visit.id)
    declared = _declared(outlook, visit.stream)
    if declared is None:
        raise NotFoundError("The installed connector does not say how this stream is read.")
    entries = _in_threads(visit, outlook, declared, [visit.named])
    document = {"connection": outlook.view.name, "stream": visit.stream, "entries": entries}
    return Page("thread.html", document, {"outlook": outlook, "limit": LONGEST_THREAD})


def html(visit: Visit) -> Page:
    """The HTML of a record, as it came; it is shown locked in."""
    outlook, row = _found(visit)
    declared = _declared(outlook, visit.stream)
    given = member(row.data, declared.reading.html if declared else None)
    if given is None:
        raise NotFoundError("This record has no HTML.")
    return Page("", {"html": given}, foreign=given)


def _found(visit: Visit) -> tuple[Outlook, FoundRecord]:
    outlook = one(visit, visit.id)
    row = search_views.one(visit.connection, visit.id, visit.stream, visit.named)
    if row is None:
        raise NotFoundError("There is no such record.")
    return outlook, row


def _in_threads(visit: Visit, outlook: Outlook, declared: StreamManifest, threads: Sequence[str]) -> list[Entry]:
    """Entries of these threads; what has no text of its own gets that of the records under it."""
    rows = search_views.in_threads(visit.connection, visit.id, declared.name, threads, LONGEST_THREAD)
    entries = [_entry(visit, outlook, row) for row in rows]
    if declared.reading.text or declared.reading.html or not rows:
        return entries
    texts: dict[str, Entry] = {}
    for each in _below(outlook, declared.name):
        if each.reading.text or each.reading.html:
            found = search_views.in_threads(
                visit.connection, visit.id, each.name, [row.key for row in rows], LONGEST_THREAD
            )
            texts |= {row.thread or "": _entry(visit, outlook, row) for row in found}
    return [_with_text(entry, texts.get(row.key)) for entry, row in zip(entries, rows, strict=True)]


def _with_text(entry: Entry, of: Entry | None) -> Entry:
    """An entry with the text of the record that holds it; its HTML is that record's, so it takes the name as well."""
    if of is None:
        return entry
    return replace(entry, text=of.text, has_html=of.has_html, stream=of.stream, name=of.name)


def _below(outlook: Outlook, name: str) -> list[StreamManifest]:
    """The streams whose records are read under those of this one."""
    declared = outlook.manifest.streams if outlook.manifest else []
    return [each for each in declared if next(iter(each.read_under), None) == name and not each.reading.thread]


def _declared(outlook: Outlook, name: str) -> StreamManifest | None:
    return outlook.manifest.stream(name) if outlook.manifest else None


def _entry(visit: Visit, outlook: Outlook, row: FoundRecord) -> Entry:
    return entry_of(row, outlook.view.name, _declared(outlook, row.stream), visit.console.access)


def _wanted(visit: Visit, words: str | None, stream: str | None) -> Wanted:
    """The records that are looked for, from the place at which the page before ended."""
    name = visit.text("page")
    place = visit.console.access.text_of(name) if name is not None else None
    return Wanted(words, stream, _place(place) if place else None, PAGE)


def _place(text: str) -> Place:
    at, connection_id, of_stream, key = text.split(" ", 3)
    return Place(datetime.fromisoformat(at), key, int(connection_id), of_stream)


def _next(visit: Visit, rows: Sequence[FoundRecord], wanted: Wanted) -> str | None:
    """A name for the place at which this page ends; None: nothing follows."""
    if len(rows) < wanted.limit:
        return None
    last = rows[-1]
    return visit.console.access.name_of(f"{last.at.isoformat()} {last.connection_id} {last.stream} {last.key}")
