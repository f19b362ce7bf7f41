"""The platform's endpoints."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from connectors.chatgpt.practice import extras
from connectors.chatgpt.practice.answers import HOME_PAGE, SIGN_IN_PAGE, Answer, ApiError, html_answer, json_answer
from connectors.chatgpt.practice.backend import Backend, Call, Outcome
from connectors.chatgpt.practice.lies import ordered, page_of
from connectors.chatgpt.practice.rendering import details, export_item, list_item
from pdpp_worker.conformance.seeding import named_uuid

PAGE_LIMIT = 100
BATCH_LIMIT = 10
LONGEST_INTEGER = 9
"""Digits."""
SESSION_COOKIE = "__Secure-next-auth.session-token"
DEVICE_COOKIE = "oai-did"


class Endpoint(RequestHandler):
    """Takes every method through the backend, so that every request is decided on and written down."""

    kind: ClassVar[str]
    method: ClassVar[str] = "GET"

    def initialize(self, backend: Backend) -> None:
        """Take the backend from the route."""
        self.backend = backend

    def compute_etag(self) -> None:
        """No conditional answers: the platform gives none."""

    def decode_argument(self, value: bytes, name: str | None = None) -> str:  # noqa: ARG002 - tornado's signature
        """Text of any bytes: a request that cannot be decoded is answered and written down like any other."""
        return value.decode(errors="replace")

    def produce(self) -> Answer:
        """The answer when nothing stands in its way. Raises ApiError."""
        raise NotImplementedError

    async def serve(self, conversation_id: str | None = None) -> None:
        """Answer one request."""
        self.conversation_id = conversation_id
        request = self.request
        call = Call(
            method=request.method or "",
            path=request.uri or "",
            kind=self.kind,
            conversation_id=conversation_id,
            authorization=request.headers.get("Authorization"),
            produce=self._checked,
        )
        outcome = self.backend.take(call)
        with suppress(StreamClosedError):
            await self._send(outcome)

    get = post = put = patch = delete = head = options = serve

    def integer(self, name: str, default: int, low: int) -> int:
        """A query parameter that is a whole number, at least `low`. Raises ApiError."""
        text = self.get_query_argument(name, str(default))
        if not text.isdecimal() or len(text) > LONGEST_INTEGER or int(text) < low:
            raise ApiError(422, [{"loc": ["query", name], "msg": f"a whole number from {low}", "input": text}])
        return int(text)

    def _checked(self) -> Answer:
        if self.request.method != self.method:
            raise ApiError(405, "Method Not Allowed")
        return self.produce()

    async def _send(self, outcome: Outcome) -> None:
        await asyncio.sleep(outcome.delay_s)
        answer = outcome.answer
        self.set_status(answer.status)
        for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
            self.set_header(name, value)
        if outcome.cut:
            await self._send_half(answer.body)
        else:
            await self.finish(answer.body)

    async def _send_half(self, body: bytes) -> None:
        self.set_header("Content-Length", len(body))
        self.write(body[: len(body) // 2])
        await self.flush()
        self.detach().close()


class Session(Endpoint):
    """The session of the signed-in user, with the access token; an empty object when nobody is signed in."""

    kind = "session"

    def produce(self) -> Answer:
        """Trade the session cookie for the access token, and give the browser a device id."""
        headers = {}
        if self.get_cookie(DEVICE_COOKIE) is None:
            device = named_uuid(self.backend.options.seed, "device")
            headers["Set-Cookie"] = f"{DEVICE_COOKIE}={device}; Path=/"
        if self.get_cookie(SESSION_COOKIE) != self.backend.options.session_token:
            return json_answer({}, headers)
        seed = self.backend.options.seed
        session = {
            "user": {"id": f"user-{named_uuid(seed, 'user')}", "name": "Owner", "email": "owner@example.com"},
            "expires": (datetime.now(UTC) + timedelta(days=30)).isoformat(),
            "accessToken": self.backend.token,
            "authProvider": "auth0",
        }
        return json_answer(session, headers)


class SignIn(Endpoint):
    """The page on which the owner signs in."""

    kind = "login"

    def produce(self) -> Answer:
        """A page with one button."""
        return html_answer(SIGN_IN_PAGE)


class SignedIn(Endpoint):
    """Signs in, as the page's button does."""

    kind = "login"
    method = "POST"

    def produce(self) -> Answer:
        """Give the browser a session for a month, and show it the home page."""
        session = f"{SESSION_COOKIE}={self.backend.options.session_token}"
        cookie = f"{session}; Path=/; Max-Age=2592000; Secure; HttpOnly; SameSite=Lax"
        return Answer(302, b"", headers={"Location": "/", "Set-Cookie": cookie})


class Home(Endpoint):
    """The page of the web application."""

    kind = "home"

    def produce(self) -> Answer:
        """A page that asks for nothing further."""
        return html_answer(HOME_PAGE)


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
        listed = ordered(self.backend.account.listed(archived=archived), faults, seed)
        shown = [list_item(one) for one in page_of(listed, offset, limit, faults)]
        answer = {"items": shown, "total": len(listed) + faults.list_surplus, "limit": limit, "offset": offset}
        return json_answer(answer | ({"has_missing_conversations": True} if faults.list_misses else {}))


class ConversationDetail(Endpoint):
    """One conversation with all its messages."""

    kind = "detail"

    def produce(self) -> Answer:
        """The tree of messages."""
        found = self.backend.account.find(self.conversation_id or "")
        if found is None:
            message = f"Can't load conversation {self.conversation_id}"
            raise ApiError(404, {"message": message, "code": "conversation_not_found"})
        return json_answer(details(found))


class ConversationBatch(Endpoint):
    """Several conversations at once; what cannot be had is left out without a word."""

    kind = "batch"
    method = "POST"

    def produce(self) -> Answer:
        """A bare array of details."""
        account, gone = self.backend.account, self.backend.faults.options.status_by_id
        found = [account.find(wanted) for wanted in self._wanted() if wanted not in gone]
        answered = [export_item(one) for one in found if one is not None and one.in_batches]
        return json_answer(answered)

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
        """Not there."""
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
        (r"/backend-api/gizmos/mine", Gizmos),
        (r"/backend-api/user_system_messages", Instructions),
        (r"/backend-api/shared_conversations", Shares),
        (r".*", Unknown),
    ]
    return [(pattern, endpoint, {"backend": backend}) for pattern, endpoint in endpoints]
