"""A small account in memory and a connector that keeps every rule about it; a defect is one method done wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pdpp_worker.conformance.account import Fault, LivingAccount, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    Collect,
    Context,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Gone,
    Message,
    NeedsOwner,
    ProviderError,
    Reason,
    Record,
    ResourceScope,
    Start,
    State,
    Throttled,
    TimeRange,
    UpstreamError,
    skip,
)
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.registry import Connector

SECRET = "a-secret-of-the-account"
STREAMS = ("notes", "drafts")
COUNT = 6

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {"id": {"type": "string"}, "text": {"type": "string"}, "written_at": {"type": "string"}},
    "additionalProperties": False,
}
MANIFEST = Manifest.model_validate(
    {
        "name": "notebook",
        "version": "1.0.0",
        "title": "Notebook",
        "checkpoint_commit": "incremental",
        "credentials": {"token": {"title": "Token"}},
        "recovery": {"supports_targeted_resource_fetch": True},
        "streams": [{"name": name, "schema": SCHEMA, "cursor_field": "written_at"} for name in STREAMS],
    }
)
ERRORS: dict[Fault, type[ProviderError]] = {
    Fault.FAILING: UpstreamError,
    Fault.REFUSED: Throttled,
    Fault.GONE: Gone,
    Fault.SIGNED_OUT: AuthExpired,
}


class Notebook(PracticeAccount):
    """Notes and drafts, in the order in which they were written."""

    faults = frozenset(Fault)
    can_change = True
    secrets: ClassVar[dict[str, str]] = {"token": SECRET}  # type: ignore[misc]

    def __init__(self) -> None:
        self.items = {stream: [f"{stream}-{number}" for number in range(COUNT)] for stream in STREAMS}
        self.log: list[Request] = []
        self.broken: dict[str, Fault] = {}

    def expected_records(self) -> Sequence[RecordGroup]:
        return [RecordGroup(stream, frozenset({key}), key) for stream, keys in self.items.items() for key in keys]

    def requests(self) -> Sequence[Request]:
        return self.log

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        self.broken = {"": fault} if fault is Fault.SIGNED_OUT else dict.fromkeys(resources, fault)

    def restore(self) -> None:
        self.broken = {}

    def change(self) -> None:
        self.items["notes"].append("notes-new")

    def list(self, context: Context, stream: str, after: int) -> Sequence[str]:
        """Up to two keys after the first `after`."""
        self._ask(context, Request(f"list {stream} after {after}"))
        return self.items[stream][after : after + 2]

    def read(self, context: Context, key: str) -> dict[str, Any]:
        """One item."""
        self._ask(context, Request(f"read {key}", frozenset({key})), key)
        if self.broken.get(key) is Fault.GARBLED:
            return {}
        number = next(keys.index(key) for keys in self.items.values() if key in keys)
        return {"id": key, "text": f"the text of {key}", "written_at": f"2026-01-0{number + 1}T00:00:00.000Z"}

    def _ask(self, context: Context, request: Request, key: str = "") -> None:
        with context.pace():
            self.log.append(request)
            for fault in filter(None, (self.broken.get(""), self.broken.get(key))):
                if fault in ERRORS:
                    raise ERRORS[fault]("the notebook said no")


class Keeper:
    """A connector that keeps the rules."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook

    def collect(self, start: Start, context: Context) -> Iterator[Message]:
        context.secret("token")
        for number, scope in enumerate(start.scope.streams):
            try:
                yield from self.recover(start, context, scope.name)
                if not start.recovery_only:
                    yield from self.walk(start, context, scope.name)
            except NeedsOwner as error:
                for late in start.scope.streams[number:]:
                    yield skip(late.name, self.reason_of(error), WHOLE_STREAM, str(error))
                return
            except ProviderError as error:
                yield skip(scope.name, self.reason_of(error), WHOLE_STREAM, str(error))

    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        mine = [gap for gap in start.detail_gaps[: start.budget.items] if gap.stream == stream]
        for gap in mine:
            assert isinstance(gap.scope, ResourceScope)
            yield from self.close(gap, gap.scope.resource_id, context)

    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:
        try:
            yield self.record(gap.stream, self.notebook.read(context, key), context)
        except Gone:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key, absent=True)
        except NeedsOwner:
            raise
        except ProviderError as error:
            yield self.gap(gap.stream, key, error.reason, gap.gap_id)
        else:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key)

    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        place = (start.cursor(stream) or {"after": 0})["after"]
        while keys := self.notebook.list(context, stream, place):
            for key in keys:
                yield from self.item(start, context, stream, key)
            place += len(keys)
            yield State(stream=stream, cursor={"after": place})

    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        scope = next(one for one in start.scope.streams if one.name == stream)
        if scope.resources is not None and key not in scope.resources:
            return
        try:
            data = self.notebook.read(context, key)
        except NeedsOwner:
            raise
        except ProviderError as error:
            yield self.gap(stream, key, error.reason)
            return
        if not data:
            yield self.gap(stream, key, self.reason_for_garbled())
        elif self.is_within(scope.time_range, data["written_at"]):
            kept = data if scope.fields is None else {name: data[name] for name in scope.fields}
            yield self.record(stream, kept, context)

    def is_within(self, period: TimeRange | None, moment: str) -> bool:
        return period is None or (period.since or "") <= moment < (period.until or "9")

    def record(self, stream: str, data: dict[str, Any], context: Context) -> Record:
        return Record(stream=stream, key=data["id"], data=data, emitted_at=context.now())

    def gap(self, stream: str, key: str, reason: str, gap_id: str | None = None) -> DetailGap:
        return DetailGap(stream=stream, record_key=key, reason=reason, gap_id=gap_id)

    def reason_for_garbled(self) -> str:
        return Reason.PARSE_FAILED.value

    def reason_of(self, error: ProviderError) -> Reason:
        return next(one for one in Reason if one.value == error.reason)


@dataclass(frozen=True)
class InNotebook(Connector):
    """A connector whose code is a class of a test."""

    code: Collect = None  # type: ignore[assignment]

    def load(self) -> Collect:
        return self.code


class NotebookSubject:
    """The connector to check, and its account."""

    def __init__(self, keeper: type[Keeper], manifest: Manifest = MANIFEST) -> None:
        self._notebook = Notebook()
        self.connector = InNotebook(manifest, "notebook", keeper(self._notebook).collect)

    @contextmanager
    def open_account(self) -> Iterator[PracticeAccount]:
        yield self._notebook

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        raise NotChecked(f"No account of owner {owner} lives here.")
