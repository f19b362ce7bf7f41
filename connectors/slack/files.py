"""The list of files by the Web API. Its pages are cut by number, so that they shift while they are walked.

The cursor is {"at": run, "page": next page, "pass": number of the walk} within a run, {"run": run} at its end.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

from connectors.slack.api import Api, refuse_nameless
from connectors.slack.errors import DisorderError
from connectors.slack.fields import integer, text
from connectors.slack.rows import Obj
from connectors.slack.streams import FILES, RecordFactory
from pdpp_worker.connector import Message, ShapeError, Start, State
from pdpp_worker.connector.json_fields import table, tables

MAX_PASSES = 4
"""Walks of the list within a run: until one is known to have missed nothing."""


class Files:
    """Walks the list of files until its pages agree with each other."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start) -> None:
        self._api = api
        self._factory = factory
        self._start = start
        self._met: set[str] = set()
        self._nameless = 0
        self._totals: set[int | None] = set()

    def walk(self) -> Iterator[Message]:
        """Every file, by as many walks as it takes.

        Raises:
            DisorderError: the list has shifted in each of them.
        """
        cursor = table(self._start.cursor(FILES))
        is_begun = cursor.get("at") == self._start.run_id
        first = (integer(cursor.get("page")) or 1) if is_begun else 1
        number = (integer(cursor.get("pass")) or 1) if is_begun else 1
        while not (yield from self._walk_once(first, number)):
            first, number = 1, number + 1
            if number > MAX_PASSES:
                raise DisorderError("files.list has shifted in each walk of it")
        refuse_nameless("files.list", self._nameless)
        yield from self._state({"run": self._start.run_id})

    def _walk_once(self, first: int, number: int) -> Generator[Message, None, bool]:
        """One walk from a page on; returns whether nothing can have been missed."""
        known, before = len(self._met), set(self._met)
        self._totals, self._nameless, met = set(), 0, set[str]()
        page, pages = first, first
        while page <= max(pages, 1):
            found, pages, total = self._api.files(page)
            if page < pages and not found:
                raise ShapeError(f"files.list speaks of {pages} pages, and page {page} is empty")
            self._totals.add(total)
            named = [raw for raw in tables(found) if text(raw.get("id"))]
            self._nameless += len(found) - len(named)
            for raw in named:
                met.add(raw["id"])
                yield from self._factory.file(raw)
            page += 1
            yield from self._state({"at": self._start.run_id, "page": page, "pass": number})
        self._met |= met
        is_counted = first == 1 and self._totals == {len(met) + self._nameless}
        return pages <= 1 or is_counted or (known > 0 and met <= before)

    def _state(self, cursor: Obj) -> Iterator[Message]:
        if FILES in self._factory.wanted:
            yield State(stream=FILES, cursor=cursor)
