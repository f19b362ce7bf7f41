"""A small account that lives: conversations go on, arrive late, tie, leave and come back while it is read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from random import Random
from threading import Event, Thread

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from connectors.chatgpt.practice import extras
from connectors.chatgpt.practice.account import CHANGE_EVERY_S, NEWEST, Expected
from connectors.chatgpt.practice.backend import Backend
from connectors.chatgpt.practice.conversation import PROJECTS, Conversation
from connectors.chatgpt.practice.options import FaultOptions, ProviderOptions
from connectors.chatgpt.practice.rendering import gizmo_id, project_id
from connectors.chatgpt.practice.server import HOST, application
from connectors.chatgpt.small_rows import INSTRUCTIONS_ID
from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.seeding import named_uuid

TOKEN, SESSION = "practice-access-token", "practice-session-token"
PAGE = 4
"""Conversations a page, whatever is asked for."""
FIRST = 48
"""Their numbers begin where none is awkward: an adversary needs small ones."""
CONVERSATIONS = 9


class LivingChats(LivingAccount):
    """An account at a server in this process."""

    def __init__(self, owner: int, backend: Backend) -> None:
        self._account, self._seed, self._next = backend.account, owner, FIRST
        self._steps = 0
        self._away: list[Conversation] = []
        self._kept: dict[str, Expected] = {}
        self.secrets = {"session_token": SESSION, "device_id": "practice-device-id"}
        for number in range(CONVERSATIONS):
            self._begin(NEWEST - 3600.0 * (number // 2))
        self.events = {
            "a conversation goes on": self._go_on,
            "a conversation begins": lambda _: self._begin(self._later()),
            "two conversations at one time": self._tie,
            "a conversation arrives late": self._arrive_late,
            "a conversation is deleted": self._delete,
            "a conversation is back": self._restore,
        }

    def _go_on(self, rng: Random) -> None:
        old = self._any(rng)
        self._account.put(replace(old, revisions=(*old.revisions, self._later())))

    def _tie(self, rng: Random) -> None:
        self._begin(self._any(rng).update_time)

    def _arrive_late(self, rng: Random) -> None:
        self._begin(NEWEST - rng.choice((1.5, 3601.0, 9e6)))

    def _delete(self, rng: Random) -> None:
        if len(self._account) < 3:
            return
        gone = self._any(rng)
        self._kept |= {one.conversation_id: one for one in self._account.expected() if one.conversation_id == gone.id}
        self._account.remove(gone.id)
        self._away.append(gone)

    def _restore(self, rng: Random) -> None:
        if self._away:
            self._account.put(self._away.pop(rng.randrange(len(self._away))))

    def _any(self, rng: Random) -> Conversation:
        return rng.choice(list(self._account))

    def _begin(self, updated: float) -> None:
        key = named_uuid(self._seed, "conversation", self._next)
        self._account.put(Conversation(self._seed, self._next, key, updated))
        self._next += 1

    def _later(self) -> float:
        self._steps += 1
        return NEWEST + self._steps * CHANGE_EVERY_S

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every conversation with its messages, and the small streams."""
        shares = extras.shared_conversations(self._account, 0, 1000)["items"]
        memories = extras.memories(self._seed)["memories"]
        return [
            *_groups(list(self._account.expected())),
            RecordGroup("projects", frozenset(project_id(self._seed, number) for number in range(PROJECTS))),
            RecordGroup("memories", frozenset(one["id"] for one in memories)),
            RecordGroup("custom_gpts", frozenset(gizmo_id(self._seed, number) for number in range(extras.GIZMOS))),
            RecordGroup("custom_instructions", frozenset({INSTRUCTIONS_ID})),
            RecordGroup("shared_conversations", frozenset(one["id"] for one in shares)),
        ]

    def may_be_held(self) -> Sequence[RecordGroup]:
        """Conversations that were deleted: the list only names them no longer."""
        return _groups(list(self._kept.values()))


def _groups(conversations: Sequence[Expected]) -> list[RecordGroup]:
    messages = frozenset((one.conversation_id, node) for one in conversations for node in one.message_ids)
    keys = frozenset(one.conversation_id for one in conversations)
    files = frozenset((one.conversation_id, node, file) for one in conversations for node, file in one.file_ids)
    return [RecordGroup("conversations", keys), RecordGroup("messages", messages), RecordGroup("files", files)]


@contextmanager
def open_living_account(owner: int) -> Iterator[LivingAccount]:
    """The account of an owner, while a thread of this process serves it."""
    options = ProviderOptions(
        seed=owner, conversations=0, token=TOKEN, session_token=SESSION, faults=FaultOptions(list_page=PAGE)
    )
    backend = Backend(options)
    account = LivingChats(owner, backend)
    with _serving(backend) as port:
        account.settings = {"base_url": f"http://{HOST}:{port}/backend-api"}
        yield account


@contextmanager
def _serving(backend: Backend) -> Iterator[int]:
    """The port of the backend's server."""
    loop, ready, ports = asyncio.new_event_loop(), Event(), list[int]()

    async def serve() -> None:
        server = HTTPServer(application(backend))
        sockets = bind_sockets(0, HOST)
        server.add_sockets(sockets)
        ports.append(sockets[0].getsockname()[1])
        stopped = asyncio.Event()
        stops.append(stopped)
        ready.set()
        await stopped.wait()
        server.stop()
        await server.close_all_connections()

    stops: list[asyncio.Event] = []
    thread = Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stops[0].set)
        thread.join()
        loop.close()
        backend.journal.close()
