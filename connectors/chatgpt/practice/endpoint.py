"""The base of all endpoints: every request is decided on by the backend and written down."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from contextlib import suppress
from typing import ClassVar

from tornado.iostream import StreamClosedError
from tornado.web import RequestHandler

from connectors.chatgpt.practice.answers import Answer, ApiError
from connectors.chatgpt.practice.backend import Backend, Call, Outcome
from connectors.chatgpt.practice.rendering import workspace_id

LONGEST_INTEGER = 9
"""Digits."""


class Endpoint(RequestHandler):
    """Takes every method through the backend, so that every request is decided on and written down."""

    kind: ClassVar[str]
    method: ClassVar[str] = "GET"

    def initialize(self, backend: Backend) -> None:
        """Take the backend from the route."""
        self.backend = backend

    def compute_etag(self) -> None:
        """Give no conditional answers: the platform gives none."""

    def decode_argument(self, value: bytes, name: str | None = None) -> str:  # noqa: ARG002 - tornado's signature
        """Text of any bytes: a request that cannot be decoded is answered and written down like any other."""
        return value.decode(errors="replace")

    @abstractmethod
    def produce(self) -> Answer:
        """The answer when nothing stands in its way. Raises ApiError."""

    async def serve(self, key: str | None = None) -> None:
        """Answer one request; `key` is the one in its path."""
        self.key = key
        request = self.request
        call = Call(
            method=request.method or "",
            path=request.uri or "",
            kind=self.kind,
            conversation_id=key if self.kind == "detail" else None,
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

    @property
    def is_of_team(self) -> bool:
        """Whether the team's workspace is asked, and not the owner's own. Raises ApiError for any other."""
        asked, seed = self.request.headers.get("ChatGPT-Account-Id"), self.backend.options.seed
        if asked not in (None, workspace_id(seed), workspace_id(seed, team=True)):
            raise ApiError(403, "You do not have access to this workspace")
        return asked == workspace_id(seed, team=True)

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
