"""Servers to read from, and a connector whose every message goes through the runtime's message handler."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

import connectors.gmail
from connectors.gmail.connector import collect
from pdpp_worker.connector import Context, DetailGap, GapToClose, Message, Record, SkipResult, Start
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.runtime.handler import MessageHandler
from tests.connectors.gmail import dovecot, gmail_server
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.support.connectors import context, final_state, start

MANIFEST: Manifest = load_manifest(Path(connectors.gmail.__file__).parent / "manifest.json")
ALL = [stream.name for stream in MANIFEST.supplied]
TREE = ["messages", "message_bodies", "attachments"]

FILE = bytes(range(256)) * 4000
_MAILS = [written(f"mail {number}", files={"big.bin": FILE} if number == 3 else None) for number in range(1, 6)]
_numbers = itertools.count(1)


@dataclass
class Holder:
    """A store: the messages of all slices so far, and the cursors they left."""

    context: Context
    sent: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def run(self, streams: Sequence[str] = ALL, *, cut: int | None = None, **asked: Any) -> list[Message]:
        """One slice, cut after some messages if asked; every message has to pass the handler."""
        self.runs += 1
        request = start(streams, self.state, **asked)
        return self.send(request.model_copy(update={"run_id": f"run-{self.runs}"}), cut)

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

    def held(self, stream: str = "messages") -> dict[str, dict[str, Any]]:
        """The records of a stream, as all messages together left them; partial ones are laid over."""
        rows: dict[str, dict[str, Any]] = {}
        for one in self.sent:
            if isinstance(one, Record) and one.stream == stream:
                before = rows.pop(str(one.key), {})
                if one.op == "upsert":
                    rows[str(one.key)] = {**before, **one.data} if one.partial else one.data
        return rows

    def by_subject(self, stream: str = "messages") -> dict[str, dict[str, Any]]:
        """The records of a stream by the subject of their message."""
        subjects = {key: row["subject"] for key, row in self.held().items()}
        return {
            subjects[str(row.get("message_id")) if stream != "messages" else key]: row
            for key, row in self.held(stream).items()
        }


def records(sent: Sequence[Message], stream: str) -> list[Record]:
    return [one for one in sent if isinstance(one, Record) and one.stream == stream]


def gaps(sent: Sequence[Message]) -> list[DetailGap]:
    return [one for one in sent if isinstance(one, DetailGap)]


def skips(sent: Sequence[Message]) -> dict[str, SkipResult]:
    """The last skip of each stream."""
    return {one.stream: one for one in sent if isinstance(one, SkipResult)}


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


def holder(settings: dict[str, Any], files: Path, **secrets: str) -> Holder:
    given = with_defaults(MANIFEST.settings, settings)
    return Holder(context(given, secrets or {"password": dovecot.PASSWORD}, files))


@pytest.fixture(scope="session")
def dovecots() -> Iterator[Dovecot]:
    """A Dovecot with as many accounts as are wanted; its directory can be entered by every user of the machine."""
    if dovecot.PROGRAM is None:
        pytest.skip(dovecot.ABSENT)
    with tempfile.TemporaryDirectory(prefix="pdpp-mail-", ignore_cleanup_errors=True) as base:
        Path(base).chmod(0o755)
        with dovecot.running(Path(base)) as started:
            yield started


@pytest.fixture
def server(dovecots: Dovecot) -> Dovecot:
    """The Dovecot, seen by the owner of an empty account."""
    return replace(dovecots, user=f"owner{next(_numbers)}@example.com")


@pytest.fixture
def account(server: Dovecot, tmp_path: Path) -> Holder:
    """The connector, signed in at the Dovecot."""
    return holder(server.settings, tmp_path)


@pytest.fixture
def gmail() -> Iterator[GmailServer]:
    """A Gmail with an empty account."""
    with gmail_server.running(GmailServer()) as started:
        yield started


@pytest.fixture
def five(gmail: GmailServer) -> GmailServer:
    """The server with five mails."""
    for number in range(1, 6):
        gmail.add(written(f"mail {number}"))
    return gmail


def there(gmail: GmailServer) -> set[str]:
    """The keys of the mails that the server has."""
    return {str(mail.gm) for mail in gmail.messages.values()}


@pytest.fixture
def inbox(gmail: GmailServer, tmp_path: Path) -> Holder:
    """The connector, signed in at the Gmail."""
    return holder(gmail.settings, tmp_path, password=gmail_server.PASSWORD)


@pytest.fixture
def by_parts(gmail: GmailServer, tmp_path: Path) -> Holder:
    """The connector at the Gmail, whose owner keeps no messages as they stand: they are read part by part."""
    return holder({**gmail.settings, "max_source_bytes": 0}, tmp_path, password=gmail_server.PASSWORD)


@pytest.fixture
def filled(gmail: GmailServer) -> GmailServer:
    """Five mails, the third with an attachment of several pieces."""
    for mail in _MAILS:
        gmail.add(mail)
    return gmail


@pytest.fixture
def hidden(gmail: GmailServer) -> set[int]:
    """UIDs that the Gmail leaves out of every answer, without a word."""
    return gmail.hidden
