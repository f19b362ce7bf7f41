"""Every page of the console, as it is asked for: the largest connection, and one of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bench.console.held import LARGEST, one
from pdpp_worker.store.engine import Database
from pdpp_worker.web.access import Access
from pdpp_worker.web.site import DOCUMENTS, PAGES, json_path

ORDINARY = 3
"""A connection like most."""
CONNECTOR = "chatgpt"
_KEY = "SELECT min(key) FROM records WHERE connection_id = :id AND stream = :stream"
_GAP = "SELECT max(id) FROM gaps WHERE connection_id = :id AND closed_at IS NULL"
_RUN = "SELECT max(id) FROM runs WHERE connection_id = :id"
QUERIES: Mapping[str, tuple[str, ...]] = {
    "/connections/add": ("", f"?connector={CONNECTOR}"),
    "/gaps": ("", f"?connection={LARGEST}", "?reason=rate_limited", f"?connection={LARGEST}&status=all&after=90000"),
    "/runs": ("", "?status=failed", f"?connection={LARGEST}&reason=rate_limited", "?before=5000"),
    "/timeline": ("", "?period=7d"),
    "/connections/{id:int}/rate": ("?period=30d",),
}
"""Queries of a page beside the plain one; a page that is not named is asked for plainly."""
NO_HTML = "/connections/{id:int}/streams/{stream}/records/{name}/html"
"""A page that records of this connector have none of."""


def paths(db: Database, access: Access) -> Iterator[tuple[str, str]]:
    """The pages that are asked for, by a name, and the path of each: as HTML, and as JSON."""
    for pattern in (*PAGES, *DOCUMENTS):
        if pattern == NO_HTML:
            continue
        for who in (LARGEST, ORDINARY) if "{id" in pattern else (LARGEST,):
            filled = _filled(pattern, db, access, who)
            name = pattern.replace(":int", "") + (" (largest)" if who == LARGEST and "{id" in pattern else "")
            for query in QUERIES.get(pattern, ("",)):
                if pattern in PAGES:
                    yield f"{name}{query}", f"{filled}{query}"
                yield f"{json_path(name)}{query}", f"{json_path(filled)}{query}"


def _filled(pattern: str, db: Database, access: Access, who: int) -> str:
    """A path with the numbers and names of one connection."""
    number, stream = {"/gaps/{id:int}": _GAP, "/runs/{id:int}": _RUN}.get(pattern), "messages"
    name = ""
    if "{name}" in pattern:
        key = one(db, _KEY, id=who, stream=stream)
        name = access.name_of(_thread_of(db, who, key) if "threads" in pattern else key)
    id_ = who if number is None else one(db, number, id=who)
    filled = pattern.replace("{id:int}", str(id_)).replace("{stream}", stream).replace("{name}", name)
    return filled.replace("{place:int}", "1")


def _thread_of(db: Database, who: int, key: str) -> str:
    question = "SELECT thread FROM record_index WHERE connection_id = :id AND stream = 'messages' AND key = :key"
    return str(one(db, question, id=who, key=key))
