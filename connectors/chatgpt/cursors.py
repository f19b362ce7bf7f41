"""Lists that the platform gives by cursor, as an iterator or as a list that is read by offset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from typing import Any

from connectors.chatgpt.known import Item
from connectors.chatgpt.listing import OVERLAP, PAGE, Page
from pdpp_worker.connector import ShapeError
from pdpp_worker.connector.json_fields import table

MAX_BARREN = 20
"""Pages in a row without anything new after which a list is taken to go on for ever."""

CursorPage = tuple[list[Any], str | None]
"""The items of a page and the cursor of the next one; None after the last."""
Ask = Callable[[str | None], CursorPage]


def cursor_of(answer: Any) -> str | None:
    """The cursor of the next page; the platform gives texts and numbers."""
    cursor = table(answer).get("cursor")
    return str(cursor) if cursor not in (None, "") else None


def by_cursor(ask: Ask, cursor: str | None = None) -> Iterator[list[Any]]:
    """The items of all pages from a cursor on, page by page.

    Raises:
        ShapeError: the pages go in a circle, or bring nothing new for ever.
    """
    asked, before, barren = {cursor}, list[Any](), 0
    while True:
        items, cursor = ask(cursor)
        yield items
        barren = barren + 1 if items in ([], before) else 0
        if cursor is None:
            return
        if cursor in asked or barren > MAX_BARREN:
            raise ShapeError("the pages of the list go in a circle")
        asked.add(cursor)
        before = items


class CursorList:
    """A list by cursor, read by offset: the rows are kept until the next pass begins at the top."""

    def __init__(self, ask: Ask, item: Callable[[Any], Item | None], given: CursorPage | None = None) -> None:
        """`given` is a first page that is there already; the first pass begins with it."""
        self._ask, self._item, self._given = ask, item, given
        self._rows: list[Item | None] = []
        self._pages: Iterator[list[Any]] = iter(())
        self._is_through = True

    def read(self, offset: int) -> Page:
        """The page at an offset. Raises ProviderError."""
        if offset == 0:
            self._begin()
        overlap = OVERLAP if offset else 0
        while len(self._rows) <= offset + overlap and not self._is_through:
            page = next(self._pages, None)
            self._is_through = page is None
            self._rows += map(self._item, page or ())
        return Page(self._rows[offset : offset + PAGE], goes_on=not self._is_through)

    def _begin(self) -> None:
        self._rows, self._is_through = [], False
        given, self._given = self._given, None
        if given is None:
            self._pages = by_cursor(self._ask)
        else:
            items, cursor = given
            self._pages = chain([items], by_cursor(self._ask, cursor) if cursor is not None else ())
