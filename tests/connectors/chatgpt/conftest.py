"""The practice provider as a process, and a connector whose every message passes the runtime's message handler."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

import connectors.chatgpt
from connectors.chatgpt.connector import collect
from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.connector import Context, DetailGap, GapToClose, Inventory, Message, Record, SkipResult, Start
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.runtime.handler import MessageHandler
from tests.support.connectors import context, final_state, start

MANIFEST: Manifest = load_manifest(Path(connectors.chatgpt.__file__).parent / "manifest.json")
ALL = [stream.name for stream in MANIFEST.supplied_to({})]
TREES = ["conversations", "messages"]


@dataclass
class Holder:
    """A store: the messages of all slices so far, and the cursors they left."""

    context: Context
    sent: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)

    def run(self, streams: Sequence[str] = ALL, *, cut: int | None = None, **asked: Any) -> list[Message]:
        """One slice, cut after some messages if asked; every message has to pass the handler."""
        request = start(streams, self.state, **asked)
        return self.send(request, cut)

    def send(self, request: Start, cut: int | None = None) -> list[Message]:
        """One slice for a START of the test's own."""
        handler = MessageHandler(MANIFEST, request, lambda text: text)
        said: list[Message] = []
        with closing(cast(Generator[Message], collect(request, self.context))) as messages:
            for message in messages:
                handler.handle(message)
                said.append(message)
                if len(said) == cut:
                    break
        assert handler.batch.rejections == []
        assert handler.checkpoints.errors == {}
        self.sent += said
        self.state = final_state(said, self.state)
        return said

    def held(self, stream: str) -> dict[Any, dict[str, Any]]:
        """The records of a stream, as all messages together left them; partial ones are laid over."""
        rows: dict[Any, dict[str, Any]] = {}
        for one in self.sent:
            if isinstance(one, Record) and one.stream == stream:
                key = one.key if isinstance(one.key, str) else tuple(one.key)
                before = rows.pop(key, {})
                if one.op == "upsert":
                    rows[key] = {**before, **one.data} if one.partial else one.data
        return rows


def skips(sent: Sequence[Message]) -> dict[str, SkipResult]:
    """The last skip of each stream."""
    return {message.stream: message for message in sent if isinstance(message, SkipResult)}


def members(sent: Sequence[Message]) -> dict[str, tuple[str, int | None]]:
    """The members of the source that these messages name, each with its disposition and count."""
    named = (member for one in sent if isinstance(one, Inventory) for member in one.members)
    return {member.name: (member.disposition, member.count) for member in named}


def gaps(sent: Sequence[Message]) -> list[DetailGap]:
    return [message for message in sent if isinstance(message, DetailGap)]


def to_close(found: Sequence[DetailGap]) -> list[GapToClose]:
    """The gaps as a later START hands them back."""
    return [
        GapToClose(
            gap_id=str(number),
            stream=one.stream,
            scope=one.scope,
            reason=one.reason,
            detail_locator=one.detail_locator,
        )
        for number, one in enumerate(found, start=1)
    ]


def online(provider: ProviderProcess, **secrets: str) -> Context:
    secrets = secrets or {"access_token": provider.options.token}
    return context({"base_url": provider.base_url}, secrets)


def assert_whole(holder: Holder, account: Account, besides: Sequence[str] = ()) -> None:
    """Every conversation of the account is held with all its messages, in the version that the account is in."""
    expected = {one.conversation_id: one for one in account.expected() if one.conversation_id not in besides}
    held = {key: row for key, row in holder.held("conversations").items() if key in expected}
    nodes = {(key, node) for key, one in expected.items() for node in one.message_ids}
    assert held.keys() == expected.keys()
    assert all(row["message_count_on_current_branch"] is not None for row in held.values())
    assert {key for key in holder.held("messages") if key[0] in expected} >= nodes


@pytest.fixture(autouse=True)
def _files_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in a directory that goes with the test, for what a connector keeps on disk."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def provide() -> Iterator[Callable[..., ProviderProcess]]:
    """Starts providers and stops them after the test."""
    running: list[ProviderProcess] = []

    def begin(conversations: int = 12, *, faults: Mapping[str, Any] | None = None, **options: Any) -> ProviderProcess:
        chosen = ProviderOptions(conversations=conversations, faults=FaultOptions(**(faults or {})), **options)
        process = ProviderProcess(chosen)
        process.start()
        running.append(process)
        return process

    yield begin
    for process in running:
        process.stop()


def expected(provider: ProviderProcess, *changes: Change) -> Account:
    """The provider's account after the changes."""
    account = Account(provider.options.seed, provider.options.conversations)
    for change in changes:
        account.advance(change)
    return account
