"""The connector by itself, its every message through the runtime's message handler."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import pytest

import connectors.slack
from connectors.slack.connector import collect
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Context,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    Record,
    Scope,
    SkipResult,
    Start,
    State,
)
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.runtime.handler import MessageHandler
from tests.connectors.slack.account import Obj
from tests.connectors.slack.provider import TOKEN, Slack, serving
from tests.support.connectors import context, start

MANIFEST: Manifest = load_manifest(Path(connectors.slack.__file__).parent / "manifest.json")
ALL = [stream.name for stream in MANIFEST.supplied]


@dataclass
class Holder:
    """A store: the messages of all slices so far, and the cursors they left."""

    context: Context
    sent: list[Message] = field(default_factory=list)
    state: dict[str, Any] = field(default_factory=dict)
    runs: int = 0

    def run(
        self, streams: Sequence[str] = ALL, *, cut: int | None = None, same: bool = False, **asked: Any
    ) -> list[Message]:
        """One slice of a new run (`same`: of the last one), cut after some messages if asked."""
        self.runs += not same
        return self.send(start(streams, self.state, **asked).model_copy(update={"run_id": f"run-{self.runs}"}), cut)

    def send(self, request: Start, cut: int | None = None) -> list[Message]:
        """One slice for a START of the test's own; every message has to pass the handler."""
        handler = MessageHandler(MANIFEST, request, lambda text: text)
        said: list[Message] = []
        with closing(cast(Generator[Message], collect(request, self.context))) as messages:
            for message in messages:
                handler.handle(message)
                said.append(message)
                if isinstance(message, State):
                    self.state[message.stream] = json.loads(json.dumps(message.cursor))
                if len(said) == cut:
                    break
        assert handler.batch.rejections == []
        assert handler.checkpoints.errors == {}
        self.sent += said
        return said

    def held(self, stream: str) -> dict[str, dict[str, Any]]:
        """The records of a stream, as all messages together left them; partial ones are laid over."""
        rows: dict[str, dict[str, Any]] = {}
        for one in self.sent:
            if isinstance(one, Record) and one.stream == stream:
                before = rows.pop(str(one.key), {})
                if one.op == "upsert":
                    rows[str(one.key)] = {**before, **one.data} if one.partial else one.data
        return rows


def emitted(sent: Sequence[Message], stream: str) -> list[str]:
    """The keys of a stream's records, in the order in which they were sent."""
    return [str(one.key) for one in sent if isinstance(one, Record) and one.stream == stream]


@dataclass(frozen=True)
class Told:
    """A gap that was told."""

    scope: Scope
    reason: str
    error: str
    retry_after: datetime | None
    locator: dict[str, Any] | None
    gap_id: str | None = None

    @property
    def known(self) -> GapToClose:
        """As START hands it back, numbered 7."""
        return GapToClose(
            gap_id="7", stream="messages", scope=self.scope, reason=self.reason, detail_locator=self.locator
        )


def gaps(sent: Sequence[Message]) -> dict[str, Told]:
    """The gaps that were told, by their resource, or as `channel` or `channel/thread`; whole streams left out."""
    found: dict[str, Told] = {}
    for one in sent:
        if isinstance(one, DetailGap):
            told = Told(one.scope, one.reason, str(one.last_error), one.retry_after, one.detail_locator, one.gap_id)
            found[one.record_key.replace(":1", "/1", 1) if one.gap_id else one.record_key] = told
        elif isinstance(one, SkipResult) and isinstance(one.scope, BatchScope) and one.scope.partition:
            name = "/".join(str(part) for part in one.scope.partition.values())
            found[name] = Told(one.scope, one.reason, one.message, one.retry_after, one.detail)
    return found


def recovered(sent: Sequence[Message]) -> list[str]:
    """The gaps that were closed."""
    return [one.gap_id for one in sent if isinstance(one, DetailGapRecovered)]


def skips(sent: Sequence[Message]) -> dict[str, SkipResult]:
    """The last skip of each whole stream."""
    return {one.stream: one for one in sent if isinstance(one, SkipResult) and one.scope == WHOLE_STREAM}


def settings(**given: Any) -> dict[str, Any]:
    """A connection's settings, with the manifest's defaults."""
    return with_defaults(MANIFEST.settings, given)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """The archive's directory."""
    return tmp_path / "archive"


@pytest.fixture
def on_disk(directory: Path) -> Holder:
    """A connection that only reads the archive that lies there."""
    return Holder(context(settings(archive=str(directory), run_slackdump=False)))


@pytest.fixture
def slack() -> Iterator[Slack]:
    """The provider of the Web API."""
    with serving() as provider:
        yield provider


@pytest.fixture
def holder(slack: Slack) -> Holder:
    """A connection to it."""
    return Holder(connection(slack, token=TOKEN))


def connection(slack: Slack, **secrets: str) -> Context:
    """A context for the provider."""
    return context(settings(base_url=slack.url), secrets)


def failing(error: Obj | int, **when: str) -> Any:
    """A fault for the requests with these parameters."""
    return lambda asked: error if when.items() <= asked.items() else None


def deleted(sent: Sequence[Message], stream: str) -> list[str]:
    """The keys of a stream that were said to be deleted, on either ground."""
    return [str(one.key) for one in sent if isinstance(one, Record) and one.stream == stream and one.op == "delete"]
