"""The list of files by the Web API. Its pages are cut by number, so that they shift while they are walked.

The cursor is {"run": run} at the end of a run's work; before that it has "at", the run; "page", the next one; "pass",
the number of the walk; of this walk "count", "total" as Slack says it (-1: it changed), "nameless", and "sum", a number
that two walks of the same files share; and "before", the sum of the walk before.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any
from zlib import crc32

from connectors.slack.api import Api, refuse_nameless
from connectors.slack.errors import DisorderError
from connectors.slack.fields import text
from connectors.slack.rows import Obj
from connectors.slack.streams import FILES, RecordFactory
from pdpp_worker.connector import Message, ShapeError, Start, State
from pdpp_worker.connector.json_fields import table, tables

MAX_PASSES = 4
"""Walks of the list within a run: until one is known to have missed nothing."""


class Files:
    """Walks the list of files until nothing can have been missed."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start) -> None:
        self._api = api
        self._factory = factory
        self._run = start.run_id
        cursor = table(start.cursor(FILES))
        self._place: Obj = dict(cursor) if cursor.get("at") == self._run and "sum" in cursor else self._begin(1, None)

    def walk(self) -> Iterator[Message]:
        """Every file, by as many walks as it takes.

        Raises:
            DisorderError: the list has shifted in each of them.
        """
        while not (yield from self._walk_once()):
            if self._place["pass"] == MAX_PASSES:
                raise DisorderError("files.list has shifted in each walk of it")
            self._place = self._begin(self._place["pass"] + 1, self._place["sum"])
        refuse_nameless("files.list", self._place["nameless"])
        yield from self._state({"run": self._run})

    def _begin(self, number: int, before: int | None) -> Obj:
        place = {"at": self._run, "page": 1, "pass": number, "count": 0, "sum": 0, "nameless": 0}
        return place if before is None else {**place, "before": before}

    def _walk_once(self) -> Generator[Message, None, bool]:
        """One walk to its end; returns whether nothing can have been missed."""
        place, pages = self._place, self._place["page"]
        while place["page"] <= max(pages, 1):
            found, pages, total = self._api.files(place["page"])
            if place["page"] < pages and not found:
                raise ShapeError(f"files.list speaks of {pages} pages, and page {place['page']} is empty")
            named = [raw for raw in tables(found) if text(raw.get("id"))]
            for raw in named:
                yield from self._factory.file(raw)
            self._note(found, named, total)
            yield from self._state(dict(place))
        is_counted = place.get("total") == place["count"]
        return bool(pages <= 1 or is_counted or place.get("before") == place["sum"])

    def _note(self, found: list[Any], named: list[Obj], total: int | None) -> None:
        place = self._place
        place["total"] = total if place.get("total", total) == total else -1
        place["count"] += len(found)
        place["nameless"] += len(found) - len(named)
        place["sum"] = (place["sum"] + sum(crc32(raw["id"].encode(errors="replace")) for raw in named)) % 2**32
        place["page"] += 1

    def _state(self, cursor: Obj) -> Iterator[Message]:
        if FILES in self._factory.wanted:
            yield State(stream=FILES, cursor=cursor)
