"""The platform's endpoints. A 200 counts as an answer only if it has the expected shape: a maintenance page, `null` or
a renamed key must never pass for an empty account."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from connectors.chatgpt.cursors import CursorPage, by_cursor, cursor_of
from connectors.chatgpt.errors import ListShortError
from connectors.chatgpt.fields import identity, millis
from connectors.chatgpt.jsonstream import elements
from connectors.chatgpt.known import Item
from connectors.chatgpt.listing import PAGE, Page
from connectors.chatgpt.rows import listed_conversation
from connectors.chatgpt.session import Session, parsed
from connectors.chatgpt.tree import Conversation
from connectors.chatgpt.workspaces import Workspace, as_forbidden, workspaces_of
from pdpp_worker.connector import ProviderError, ShapeError, UpstreamError
from pdpp_worker.connector.json_fields import table, tables
from pdpp_worker.connector.lazily import lazy

BATCH = 10
"""The most conversations that one request may ask for."""
MAX_TOTAL = 10**9
"""A list that claims to be longer does not know how long it is."""
FEW = 5
"""Conversations of a project that come with it: enough to see that nothing is new."""
PROJECT_PAGE = 50
"""The most conversations of a project that a page gives."""


class Api:
    """Reads the account through a session; all methods raise ProviderError, ShapeError among them."""

    def __init__(self, session: Session, workspace: str | None = None) -> None:
        """`workspace`: another one than the session's own."""
        self._session, self.workspace = session, workspace
        self._within: dict[str, Api] = {}

    def within(self, workspace: str | None) -> Api:
        """The same in another workspace of the user's; None is the session's own."""
        if workspace is None or self.workspace is not None:
            return self
        return self._within.setdefault(workspace, Api(self._session, workspace))

    def conversations(self, offset: int, *, archived: bool) -> Page:
        """A page of one of the two lists of conversations, most recently updated first."""
        which = "true" if archived else "false"
        answer = self._get("/conversations", offset=offset, limit=PAGE, order="updated", is_archived=which)
        return _page(answer, "update_time", workspace_id=self.workspace)

    def conversation(self, key: str) -> Conversation:
        """One conversation with its whole tree."""
        path = f"/conversation/{key}"
        detail = parsed(f"GET {path}", self._read(path), Conversation)
        if (wrong := _wrong(key, detail)) is not None:
            raise wrong
        return detail

    def conversation_batch(self, keys: Sequence[str]) -> dict[str, Conversation]:
        """The conversations among at most `BATCH` that the platform gives at once, by id."""
        path = "/conversations/batch"
        answer = self._session.post(path, {"conversation_ids": list(keys)}, self.workspace)
        given = {identity(one.fields.get("id")): one for one in parsed(f"POST {path}", answer, _conversations)}
        return {key: given[key] for key in keys if key in given and _wrong(key, given[key]) is None}

    def _get(self, path: str, **parameters: Any) -> Any:
        return parsed(f"GET {path}", self._read(path, **parameters))

    def _read(self, path: str, **parameters: Any) -> bytes:
        if self.workspace is None:
            return self._session.get(path, **parameters)
        with as_forbidden(f"the workspace {self.workspace} refuses GET {path}"):
            return self._session.get(path, self.workspace, **parameters)

    @lazy
    def workspaces(self) -> list[Workspace]:
        """The workspaces of the user beside the session's own. Raises Forbidden, Gone: the platform tells none."""
        with as_forbidden("the platform does not say which workspaces there are"):
            return workspaces_of(self._get("/accounts/check/v4-2023-04-27"), self._session.workspace)

    @lazy
    def projects(self) -> list[Any]:
        """The projects, each with the first of its conversations. Raises Forbidden, Gone: there is no such feature."""
        with as_forbidden("the account has no projects"):
            return [one for page in by_cursor(self._sidebar) for one in page]

    def _sidebar(self, cursor: str | None) -> CursorPage:
        answer = self._get("/gizmos/snorlax/sidebar", conversations_per_gizmo=FEW, **_at(cursor))
        return _array(answer, "items"), cursor_of(answer)

    def project_conversations(self, project: str, cursor: str | None) -> CursorPage:
        """A page of a project's conversations, by the cursor that the page before gave."""
        answer = self._get(f"/gizmos/{project}/conversations", cursor=cursor or "0", limit=PROJECT_PAGE)
        return _array(answer, "items"), cursor_of(answer)

    def memories(self) -> Iterator[Any]:
        """All memories."""
        answer = self._get("/memories", include_memory_entries="true")
        found = _array(answer, "memories", "items")
        yield from found
        check_complete(answer, len(found))

    def gizmos(self) -> Iterator[Any]:
        """All custom GPTs of the owner, in whatever wrapper they come."""
        count, answers = 0, list[Any]()
        for page in by_cursor(partial(self._gizmos, answers)):
            yield from page
            count += len(page)
        check_complete(answers[-1], count)

    def _gizmos(self, answers: list[Any], cursor: str | None) -> CursorPage:
        answer = self._get("/gizmos/mine", limit=PAGE, **_at(cursor))
        answers.append(answer)
        parts = _array(answer, "items", "gizmos", "cuts")
        found = [one for part in parts for one in _of_section(part)]
        return found, cursor_of(answer) or next(filter(None, map(_section_cursor, parts)), None)

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


def check_complete(answer: dict[str, Any], count: int) -> None:
    """Check a list that was read to its end against what its last answer says of it.

    Raises:
        ListShortError: it goes on, or counts more than it named.
    """
    total = _count(answer.get("total"))
    if answer.get("has_more") is True or (total is not None and total > count):
        raise ListShortError(f"the list names {count} items, and says that there are more")


def _wrong(key: str, detail: Conversation) -> ProviderError | None:
    """The failure of an answer that is not the conversation that was asked for; some may be right the next time."""
    told = detail.fields
    if not detail.is_whole:
        return ShapeError("the conversation has no mapping")
    if any(isinstance(told.get(name), str) and told[name] != key for name in ("conversation_id", "id")):
        return UpstreamError("the answer is another conversation than was asked for")
    if detail.is_empty and (told.get("messages") or table(told.get("page_info")).get("has_previous_page")):
        return ShapeError("the mapping is empty, and the messages stand elsewhere")
    if detail.is_empty and told.get("current_node"):
        return UpstreamError("the mapping is empty, and the answer names a current node")
    return None


def _of_section(part: Any) -> list[Any]:
    """The GPTs of one section of the answer; what is no section is one GPT, in whatever wrapper."""
    section = table(table(part).get("list"))
    return tables(section["items"]) if "items" in section else [part]


def _section_cursor(part: Any) -> str | None:
    return cursor_of(table(part).get("list"))


def _at(cursor: str | None) -> dict[str, str]:
    return {} if cursor is None else {"cursor": cursor}


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_TOTAL
    return value if is_count else None


def _conversations(raw: bytes) -> list[Conversation]:
    return [Conversation(one) for one in elements(io.BytesIO(raw))]


def _array(answer: Any, *names: str) -> list[Any]:
    found = next((answer[name] for name in names if name in answer), None) if isinstance(answer, dict) else None
    if not isinstance(found, list):
        raise ShapeError(f"the answer holds no array under {' or '.join(names)}")
    return found


def _page(answer: Any, *times: str, **own: Any) -> Page:
    rows = [listed_item(one, times, own=own) for one in _array(answer, "items")]
    admits_missing, goes_on = (answer.get(name) is True for name in ("has_missing_conversations", "has_more"))
    return Page(rows, _count(answer.get("total")), admits_missing, goes_on)


def listed_item(raw: Any, times: Sequence[str] = ("update_time",), *, own: dict[str, Any]) -> Item | None:
    """An item of a list; `own` are fields that follow from the list."""
    key = identity(table(raw).get("id"))
    if key is None:
        return None
    time = next((found for name in times if (found := millis(raw.get(name))) is not None), None)
    told = {name: value for name, value in listed_conversation(key, raw).items() if not name.endswith("_time")}
    follows = {name: value for name, value in own.items() if value is not None}
    return Item(key, time, raw, tuple(sorted(told.items())), follows)
