"""The lists of conversations of an account: active and archived ones, those of projects and of other workspaces."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from connectors.chatgpt.api import FEW, Api, listed_item
from connectors.chatgpt.cursors import CursorList, CursorPage, cursor_of
from connectors.chatgpt.listing import Read
from connectors.chatgpt.small_rows import project
from connectors.chatgpt.workspaces import Workspace
from pdpp_worker.connector import Forbidden, Gone, NeedsOwner, ProviderError
from pdpp_worker.connector.json_fields import array, table

ACTIVE, ARCHIVED = "active", "archived"
PROJECTS, WORKSPACES = "projects", "workspaces"
WORKSPACE_LIST = re.compile("[^:]+/")
"""The beginning of the name of a list of another workspace than the session's own."""


@dataclass(frozen=True)
class Source:
    """One list; `name` is its key in the cursor."""

    name: str
    read: Read
    workspace: str | None = None


@dataclass(frozen=True)
class Unlisted:
    """Lists that the platform does not name, and why."""

    name: str
    error: ProviderError

    @property
    def is_no_feature(self) -> bool:
        """Whether the platform says that it has no such thing, for this account or at all."""
        return isinstance(self.error, Forbidden | Gone)


def sources(api: Api) -> Iterator[Source | Unlisted | Workspace]:
    """All lists, the session's own workspace first, and the workspaces that are closed. Raises NeedsOwner."""
    yield from _of_workspace(api, "")
    found = _named(lambda: api.workspaces, WORKSPACES)
    if isinstance(found, Unlisted):
        yield found
        return
    for one in found:
        if not one.is_active:
            yield one
        else:
            yield from _of_workspace(api.within(one.id), f"{one.id}/")


def _of_workspace(api: Api, prefix: str) -> Iterator[Source | Unlisted]:
    yield Source(prefix + ACTIVE, partial(api.conversations, archived=False), api.workspace)
    yield Source(prefix + ARCHIVED, partial(api.conversations, archived=True), api.workspace)
    found = _named(lambda: api.projects, prefix + PROJECTS)
    if isinstance(found, Unlisted):
        yield found
        return
    for one in found:
        row = project(one)
        if row is not None:
            yield Source(f"{prefix}project:{row['id']}", _project_list(api, row["id"], one), api.workspace)


def _named(read: Callable[[], Any], name: str) -> Any:
    try:
        return read()
    except NeedsOwner:
        raise
    except ProviderError as error:
        return Unlisted(name, error)


def _project_list(api: Api, key: str, raw: Any) -> Read:
    own = {"gizmo_id": key, "workspace_id": api.workspace}
    return CursorList(partial(api.project_conversations, key), partial(listed_item, own=own), _given(raw)).read


def _given(raw: Any) -> CursorPage | None:
    """The first conversations, where the project comes with them, and says how they go on or gives fewer than asked."""
    told = table(table(raw).get("conversations"))
    items = array(told.get("items"))
    says_all = "items" in told and ("cursor" in told or len(items) < FEW)
    return (items, cursor_of(told)) if says_all else None
