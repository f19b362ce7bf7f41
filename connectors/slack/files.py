"""The list of files by the Web API. Its pages are cut by number, so that they shift while they are walked.

The cursor is {"run": run, "known": the ids of the newest files} at the end of a run's work; before that it has "at",
the run; "page", the next one; "pass", the number of the walk; of this walk "count", "total" as Slack says it (-1: it
changed), "nameless", and "sum", a number that two walks of the same files share; "before", the sum of the walk before;
"met", the ids so far (of a canvas as "canvases:id"); and "left", those that were known and are not met yet.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator
from typing import Any
from zlib import crc32

from connectors.slack.api import Api, own_items, refuse_nameless
from connectors.slack.errors import DisorderError, OutOfSight, ShortError
from connectors.slack.fields import strings, text
from connectors.slack.rows import Obj
from connectors.slack.small_rows import is_canvas
from connectors.slack.streams import CANVASES, FILES, RecordFactory
from pdpp_worker.connector import Gone, Message, NeedsOwner, ProviderError, ShapeError, Start, State, Throttled
from pdpp_worker.connector.json_fields import table, tables

KNOWN = 5_000
"""Files of which it is noticed that they are gone: the cursor names each."""
ASKED_A_RUN = 50
"""Files that are on the list no longer and are asked for in one run, each by itself."""
_BYTES_OF_FILE = 700
MAX_PASSES = 4
"""Walks of the list within a run: until one is known to have missed nothing."""


class Files:
    """Walks the list of files until nothing can have been missed."""

    def __init__(self, api: Api, factory: RecordFactory, start: Start) -> None:
        self._api = api
        self._factory = factory
        self._run = start.run_id
        cursor = table(start.cursor(FILES))
        is_under_way = cursor.get("at") == self._run and "left" in cursor
        known = [name for part in ("known", "left", "met") for name in strings(cursor.get(part))]
        self._place: Obj = dict(cursor) if is_under_way else self._begin(1, None, [], known)
        self._unsaved = 0

    def walk(self) -> Iterator[Message]:
        """Every file, by as many walks as it takes.

        Raises:
            DisorderError: the list has shifted in each of them.
        """
        while not (yield from self._walk_once()):
            if self._place["pass"] == MAX_PASSES:
                raise DisorderError("files.list has shifted in each walk of it")
            place = self._place
            place = self._begin(place["pass"] + 1, place["sum"], place["met"], place["left"])
            self._place = place
        refuse_nameless("files.list", self._place["nameless"])
        if (self._place.get("total") or 0) > self._place["count"]:
            raise ShortError(f"files.list named {self._place['count']} of {self._place['total']} files")
        yield from self._gone()
        yield from self._state({"run": self._run, "known": self._place["met"]})

    def _begin(self, number: int, before: int | None, met: list[str], left: list[str]) -> Obj:
        place = {"at": self._run, "page": 1, "pass": number, "count": 0, "sum": 0, "nameless": 0}
        return {**place, "met": met, "left": left, **({} if before is None else {"before": before})}

    def _gone(self) -> Iterator[Message]:
        """The files that were known and are on the list no longer: each is asked for, as only its own word counts."""
        left = self._place["left"]
        for name in list(left[:ASKED_A_RUN]):
            stream, _, key = name.rpartition(":")
            try:
                yield from self._factory.file(self._api.info("files.info", "file", file=key))
            except Gone:
                yield from self._factory.deleted(stream or FILES, [key])
            except OutOfSight:
                pass  # It may only be out of sight: what is held stays.
            except (NeedsOwner, Throttled):
                raise
            except ProviderError:
                continue  # The next run asks again.
            left.remove(name)
            yield from self._checkpoint(1)
        self._place["met"] += left

    def _walk_once(self) -> Generator[Message, None, bool]:
        """One walk to its end; returns whether nothing can have been missed."""
        place, pages = self._place, self._place["page"]
        while place["page"] <= max(pages, 1):
            found, pages, total = self._api.files(place["page"])
            if place["page"] < pages and not found:
                raise ShapeError(f"files.list speaks of {pages} pages, and page {place['page']} is empty")
            named = own_items([raw for raw in tables(found) if text(raw.get("id"))])
            for raw in named:
                yield from self._factory.file(raw)
            self._note(found, named, total)
            yield from self._checkpoint(len(named))
        is_counted = place.get("total") == place["count"]
        return bool(pages <= 1 or is_counted or place.get("before") == place["sum"])

    def _note(self, found: list[Any], named: list[Obj], total: int | None) -> None:
        place = self._place
        place["total"] = total if place.get("total", total) == total else -1
        place["count"] += len(found)
        place["nameless"] += len(found) - len(named)
        place["sum"] = (place["sum"] + sum(crc32(raw["id"].encode(errors="replace")) for raw in named)) % 2**32
        place["page"] += 1
        names = dict.fromkeys(f"{CANVASES}:{raw['id']}" if is_canvas(raw) else raw["id"] for raw in named)
        place["met"] = list(dict.fromkeys([*place["met"], *names]))[:KNOWN]
        place["left"] = [name for name in place["left"] if name not in names]

    def _checkpoint(self, items: int) -> Iterator[Message]:
        """A STATE, where it weighs no more than what it covers."""
        self._unsaved += (items + 1) * _BYTES_OF_FILE
        if self._unsaved >= len(json.dumps(self._place)):
            self._unsaved = 0
            yield from self._state(dict(self._place))

    def _state(self, cursor: Obj) -> Iterator[Message]:
        if FILES in self._factory.wanted:
            yield State(stream=FILES, cursor=cursor)
