"""The platform's endpoints."""

from __future__ import annotations

import json
from typing import Any

from connectors.chatgpt.practice import extras, projects
from connectors.chatgpt.practice.answers import Answer, ApiError, json_answer
from connectors.chatgpt.practice.backend import Backend
from connectors.chatgpt.practice.endpoint import Endpoint
from connectors.chatgpt.practice.lies import ordered, page_of
from connectors.chatgpt.practice.rendering import details, export_item, list_item
from connectors.chatgpt.practice.sign_in import Home, Session, SignedIn, SignIn

PAGE_LIMIT = 100
BATCH_LIMIT = 10


class ConversationList(Endpoint):
    """The conversations, newest update first."""

    kind = "list"

    def produce(self) -> Answer:
        """A page of list items."""
        order = self.get_query_argument("order", "updated")
        if order != "updated":
            raise ApiError(422, [{"loc": ["query", "order"], "msg": "only 'updated' is known", "input": order}])
        offset = self.integer("offset", 0, 0)
        limit = min(self.integer("limit", 28, 1), PAGE_LIMIT)
        archived = self.get_query_argument("is_archived", "false") == "true"
        faults, seed = self.backend.faults.options, self.backend.options.seed
        listed = ordered(self.backend.account.listed(archived=archived, team=self.is_of_team), faults, seed)
        shown = [list_item(one) for one in page_of(listed, offset, limit, faults)]
        answer = {"items": shown, "total": len(listed) + faults.list_surplus, "limit": limit, "offset": offset}
        self.backend.page_given()
        return json_answer(answer | ({"has_missing_conversations": True} if faults.list_misses else {}))


class ConversationDetail(Endpoint):
    """One conversation with all its messages."""

    kind = "detail"

    def produce(self) -> Answer:
        """The tree of messages."""
        found = self.backend.account.find(self.key or "")
        if found is None or found.is_of_team is not self.is_of_team:
            code = "conversation_not_found" if found is None else "conversation_inaccessible"
            raise ApiError(404, {"message": f"Can't load conversation {self.key}", "code": code})
        return json_answer(details(found))


class ConversationBatch(Endpoint):
    """Several conversations at once; what cannot be had is left out without a word."""

    kind = "batch"
    method = "POST"

    def produce(self) -> Answer:
        """A bare array of details."""
        account, gone = self.backend.account, self.backend.faults.options.status_by_id
        found = [account.find(wanted) for wanted in self._wanted() if wanted not in gone]
        here = (one for one in found if one is not None and one.is_of_team is self.is_of_team)
        return json_answer([export_item(one) for one in here if one.in_batches])

    def _wanted(self) -> list[str]:
        try:
            wanted = json.loads(self.request.body)["conversation_ids"]
        except (ValueError, KeyError, TypeError) as error:
            raise ApiError(422, "conversation_ids is missing") from error
        if not isinstance(wanted, list) or not all(isinstance(one, str) for one in wanted):
            raise ApiError(422, "conversation_ids must be a list of ids")
        if len(wanted) > BATCH_LIMIT:
            raise ApiError(422, f"at most {BATCH_LIMIT} conversations at once")
        return wanted


class Memories(Endpoint):
    """The platform's memories of its user."""

    kind = "memories"

    def produce(self) -> Answer:
        """All memories, or only their size without `include_memory_entries=true`."""
        memories = extras.memories(self.backend.options.seed)
        if self.get_query_argument("include_memory_entries", "false") != "true":
            memories["memories"] = []
        return json_answer(memories)


class Gizmos(Endpoint):
    """The user's own GPTs."""

    kind = "gizmos"

    def produce(self) -> Answer:
        """A page of GPTs."""
        limit = self.integer("limit", PAGE_LIMIT, 1)
        try:
            page = extras.gizmos(self.backend.options.seed, limit, self.get_query_argument("cursor", None))
        except ValueError as error:
            raise ApiError(422, [{"loc": ["query", "cursor"], "msg": "not a cursor"}]) from error
        return json_answer(page)


class Workspaces(Endpoint):
    """The workspaces of the user."""

    kind = "workspaces"

    def produce(self) -> Answer:
        """All of them at once."""
        return json_answer(projects.workspaces(self.backend.options.seed))


class Projects(Endpoint):
    """The projects of a workspace."""

    kind = "projects"

    def produce(self) -> Answer:
        """All of them, with the latest conversations of each."""
        few = self.integer("conversations_per_gizmo", 5, 0)
        return json_answer(projects.sidebar(self.backend.account, few, team=self.is_of_team))


class ProjectConversations(Endpoint):
    """The conversations of one project."""

    kind = "project_list"

    def produce(self) -> Answer:
        """A page of list items, by cursor."""
        cursor, limit = self.integer("cursor", 0, 0), self.integer("limit", 20, 1)
        key = self.key or ""
        page = projects.conversations(self.backend.account, key, cursor, limit, team=self.is_of_team)
        if page is None:
            raise ApiError(404, "Not Found")
        self.backend.page_given()
        return json_answer(page)


class Instructions(Endpoint):
    """The custom instructions."""

    kind = "instructions"

    def produce(self) -> Answer:
        """The one object that there is."""
        return json_answer(extras.user_system_messages(self.backend.options.seed))


class Shares(Endpoint):
    """The shared links."""

    kind = "shares"

    def produce(self) -> Answer:
        """A page of links."""
        limit = min(self.integer("limit", PAGE_LIMIT, 1), PAGE_LIMIT)
        offset = self.integer("offset", 0, 0)
        return json_answer(extras.shared_conversations(self.backend.account, offset, limit))


class Unknown(Endpoint):
    """Any other path."""

    kind = "other"

    def produce(self) -> Answer:
        """Refuse: there is no such resource."""
        raise ApiError(404, "Not Found")


def routes(backend: Backend) -> list[Any]:
    """Path patterns with their endpoints; the last one takes what is left."""
    endpoints: list[tuple[str, type[Endpoint]]] = [
        (r"/", Home),
        (r"/auth/login", SignIn),
        (r"/auth/callback", SignedIn),
        (r"/api/auth/session", Session),
        (r"/backend-api/conversations", ConversationList),
        (r"/backend-api/conversations/batch", ConversationBatch),
        (r"/backend-api/conversation/([^/]+)", ConversationDetail),
        (r"/backend-api/memories", Memories),
        (r"/backend-api/accounts/check/v4-2023-04-27", Workspaces),
        (r"/backend-api/gizmos/snorlax/sidebar", Projects),
        (r"/backend-api/gizmos/(g-p-[^/]+)/conversations", ProjectConversations),
        (r"/backend-api/gizmos/mine", Gizmos),
        (r"/backend-api/user_system_messages", Instructions),
        (r"/backend-api/shared_conversations", Shares),
        (r".*", Unknown),
    ]
    return [(pattern, endpoint, {"backend": backend}) for pattern, endpoint in endpoints]
