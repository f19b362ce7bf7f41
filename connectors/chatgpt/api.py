"""The platform's endpoints. A 200 counts as an answer only if it has the expected shape: a maintenance page, `null` or
a renamed key must never pass for an empty account."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

from connectors.chatgpt.fields import identity, millis
from connectors.chatgpt.jsonstream import elements
from connectors.chatgpt.listing import PAGE, Item, Page
from connectors.chatgpt.session import Session, parsed
from connectors.chatgpt.tree import Conversation
from pdpp_worker.connector import ShapeError

BATCH = 10
"""The most conversations that one request may ask for."""
MAX_TOTAL = 10**9
"""A list that claims to be longer does not know how long it is."""
MAX_BARREN = 20
"""Pages in a row without anything new after which a list is taken to go on for ever."""


class Api:
    """Reads the account through a session; all methods raise ProviderError, ShapeError among them."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def conversations(self, offset: int) -> Page:
        """A page of the list, most recently updated first."""
        answer = self._get("/conversations", offset=offset, limit=PAGE, order="updated")
        return _page(answer, "update_time")

    def conversation(self, key: str) -> Conversation:
        """One conversation with its whole tree."""
        path = f"/conversation/{key}"
        detail = parsed(f"GET {path}", self._session.get(path), Conversation)
        if not detail.is_whole:
            raise ShapeError("the conversation has no mapping")
        return detail

    def conversation_batch(self, keys: Sequence[str]) -> dict[str, Conversation]:
        """Those of at most `BATCH` conversations that the platform cares to give at once, by id."""
        path = "/conversations/batch"
        answer = self._session.post(path, {"conversation_ids": list(keys)})
        given = {one.fields.get("id"): one for one in parsed(f"POST {path}", answer, _conversations) if one.is_whole}
        return {key: given[key] for key in keys if key in given}

    def _get(self, path: str, **parameters: Any) -> Any:
        return parsed(f"GET {path}", self._session.get(path, **parameters))

    def memories(self) -> Iterator[Any]:
        """All memories."""
        yield from _array(self._get("/memories", include_memory_entries="true"), "memories", "items")

    def gizmos(self) -> Iterator[Any]:
        """All custom GPTs of the owner, in whatever wrapper they come."""
        cursors, barren = set[str](), 0
        before: list[Any] = []
        parameters = {"limit": PAGE}
        while True:
            answer = self._get("/gizmos/mine", **parameters)
            page = _array(answer, "items", "gizmos", "cuts")
            yield from page
            cursor = answer.get("cursor")
            if not cursor:
                return
            barren = barren + 1 if page in ([], before) else 0
            if str(cursor) in cursors or barren > MAX_BARREN:
                raise ShapeError("the list of GPTs goes in a circle")
            cursors.add(str(cursor))
            before, parameters["cursor"] = page, cursor

    def instructions(self) -> Iterator[Any]:
        """The custom instructions: one object."""
        answer = self._get("/user_system_messages")
        if not isinstance(answer, dict):
            raise ShapeError("the custom instructions are not an object")
        yield answer

    def shares(self, offset: int) -> Page:
        """A page of shared links, most recently created first."""
        answer = self._get("/shared_conversations", offset=offset, limit=PAGE, order="created")
        return _page(answer, "create_time", "created_at")


def _conversations(raw: bytes) -> list[Conversation]:
    return [Conversation(one) for one in elements(io.BytesIO(raw))]


def _array(answer: Any, *names: str) -> list[Any]:
    found = next((answer[name] for name in names if name in answer), None) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ShapeError(f"the answer holds no array under {' or '.join(names)}")
    return found


def _page(answer: Any, *times: str) -> Page:
    raw = _array(answer, "items")
    total = answer.get("total")
    items = [Item(key, _time(one, times), one) for one in raw if (key := _key(one)) is not None]
    is_count = isinstance(total, int) and 0 <= total <= MAX_TOTAL
    return Page(items, total if is_count else None, len(raw) - len(items))


def _key(raw: Any) -> str | None:
    return identity(raw.get("id")) if isinstance(raw, dict) else None


def _time(raw: dict[str, Any], names: tuple[str, ...]) -> int | None:
    return next((found for name in names if (found := millis(raw.get(name))) is not None), None)
