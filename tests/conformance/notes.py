"""A small account in memory and a connector that keeps every rule about it; a defect is one method done wrong."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pdpp_worker.conformance.account import Fault, LivingAccount, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.errors import NotChecked
from pdpp_worker.conformance.planting import Counted, Plant, Planted
from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    Check,
    Collect,
    Context,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Gone,
    Inventory,
    Message,
    NeedsOwner,
    ProviderError,
    Reached,
    Reason,
    Record,
    ResourceScope,
    SourceMember,
    Start,
    State,
    Throttled,
    TimeRange,
    UpstreamError,
    skip,
)
from pdpp_worker.connector.json_fields import rest_of
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.registry import Connector

SECRET = "a-secret-of-the-account"
STREAMS = ("notes", "drafts")
COUNT = 6
MARKS = {
    Plant.FIELD: ("a-mood",),
    Plant.MEMBER: ("scraps/1.txt", "scraps/2.txt"),
    Plant.TOTAL: (),
    Plant.TWIN: ("the text of notes-0", "another text"),
}

SCHEMA = {
    "type": "object",
    "required": ["id"],
    "properties": {
        "id": {"type": "string"},
        "text": {"type": "string"},
        "written_at": {"type": "string"},
        "note": {"type": ["string", "null"]},
        "draft_count": {"type": "integer"},
        "extra": {"type": "object"},
    },
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
    plants = frozenset(Plant)
    counted = (Counted("notes", "draft_count", "drafts", "note"),)
    secrets: ClassVar[dict[str, str]] = {"token": SECRET}  # type: ignore[misc]

    def __init__(self) -> None:
        self.items = {stream: [f"{stream}-{number}" for number in range(COUNT)] for stream in STREAMS}
        self.log: list[Request] = []
        self.broken: dict[str, Fault] = {}
        self.planted: Plant | None = None

    def expected_records(self) -> Sequence[RecordGroup]:
        return [RecordGroup(stream, frozenset({key}), key) for stream, keys in self.items.items() for key in keys]

    def requests(self) -> Sequence[Request]:
        return self.log

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        self.broken = {"": fault} if fault is Fault.SIGNED_OUT else dict.fromkeys(resources, fault)

    def restore(self) -> None:
        self.broken, self.planted = {}, None

    def plant(self, plant: Plant) -> Planted:
        self.planted = plant
        count = len(MARKS[plant]) if plant is Plant.MEMBER else None
        return Planted(MARKS[plant], frozenset({"notes"}), count)

    def change(self) -> None:
        self.items["notes"].append("notes-new")

    def list(self, context: Context, stream: str, after: int) -> Sequence[str]:
        """Up to two keys after the first `after`."""
        self._ask(context, Request(f"list {stream} after {after}"))
        return self.items[stream][after : after + 2]

    def boxes(self) -> dict[str, int]:
        """All that lies in the notebook, and how many items it says to have of each."""
        found = {stream: len(keys) for stream, keys in self.items.items()}
        if self.planted is Plant.TOTAL:
            found["notes"] += 1
        return found | (dict.fromkeys(MARKS[Plant.MEMBER], 1) if self.planted is Plant.MEMBER else {})

    def twins(self, key: str) -> Sequence[str]:
        """The texts of other items that have the same id."""
        return [MARKS[Plant.TWIN][1]] if self.planted is Plant.TWIN and key == "notes-0" else []

    def read(self, context: Context, key: str) -> dict[str, Any]:
        """One item."""
        self._ask(context, Request(f"read {key}", frozenset({key})), key)
        if self.broken.get(key) is Fault.GARBLED:
            return {}
        number = next(keys.index(key) for keys in self.items.values() if key in keys)
        item = {"id": key, "text": f"the text of {key}", "written_at": f"2026-01-0{number + 1}T00:00:00.000Z"}
        return {**item, "mood": MARKS[Plant.FIELD][0]} if self.planted is Plant.FIELD else item

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
        if not start.recovery_only:
            yield from self.inventory(start)
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

    def check(self, context: Context) -> Reached:
        """Try the account."""
        if context.secret("token").get_secret_value() != SECRET:
            raise AuthExpired("the notebook does not open")
        return Reached(holds={stream: len(self.notebook.list(context, stream, 0)) for stream in STREAMS})

    def inventory(self, start: Start) -> Iterator[Message]:  # noqa: ARG002 - a defect looks at it
        boxes = self.notebook.boxes()
        known = [
            SourceMember(kind="box", name=one, disposition="collected", streams=[one], count=boxes[one])
            for one in STREAMS
        ]
        yield Inventory(part="notebook", members=known + self.unknown(sorted(boxes.keys() - set(STREAMS))))

    def unknown(self, names: Sequence[str]) -> list[SourceMember]:
        member = SourceMember(kind="files", name="scraps/*.txt", disposition="unknown", count=len(names))
        return [member] if names else []

    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        mine = [gap for gap in start.detail_gaps[: start.budget.items] if gap.stream == stream]
        for gap in mine:
            assert isinstance(gap.scope, ResourceScope)
            yield from self.close(gap, gap.scope.resource_id, context)

    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:
        try:
            yield self.record(gap.stream, self.shape(gap.stream, self.notebook.read(context, key)), context)
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
        yield from self.doubt_the_end(stream, place)

    def doubt_the_end(self, stream: str, place: int) -> Iterator[Message]:
        if place < self.notebook.boxes()[stream]:
            yield self.gap(stream, f"after {place}", Reason.UPSTREAM_ERROR.value)

    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        scope = next(one for one in start.scope.streams if one.name == stream)
        if scope.resources is not None and key not in scope.resources:
            return
        try:
            data = self.shape(stream, self.notebook.read(context, key))
        except NeedsOwner:
            raise
        except ProviderError as error:
            yield self.gap(stream, key, error.reason)
            return
        if not data:
            yield self.gap(stream, key, self.reason_for_garbled())
        elif self.is_within(scope.time_range, data["written_at"]):
            kept = data if scope.fields is None else {name: data[name] for name in scope.fields if name in data}
            yield self.record(stream, kept, context)
            yield from self.others(stream, data, context)

    def others(self, stream: str, data: dict[str, Any], context: Context) -> Iterator[Message]:
        for number, text in enumerate(self.notebook.twins(data["id"]), start=2):
            yield self.record(stream, {**data, "id": f"{data['id']} ({number})", "text": text}, context)

    def shape(self, stream: str, item: dict[str, Any]) -> dict[str, Any]:
        if not item:
            return {}
        number = item["id"].rpartition("-")[2]
        named = {name: item[name] for name in ("id", "text", "written_at")}
        kin = {"note": f"notes-{number}"} if stream == "drafts" else {"draft_count": self.drafts_of(number)}
        return {**named, **kin, "extra": rest_of(item, named.keys())}

    def drafts_of(self, number: str) -> int:
        return self.notebook.items["drafts"].count(f"drafts-{number}")

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

    tries: Check | None = None

    def load(self) -> Collect:
        return self.code

    def check(self) -> Check | None:
        return self.tries


class NotebookSubject:
    """The connector to check, and its account."""

    def __init__(self, keeper: type[Keeper], manifest: Manifest = MANIFEST) -> None:
        self._notebook = Notebook()
        kept = keeper(self._notebook)
        self.connector = InNotebook(manifest, "notebook", kept.collect, kept.check)

    @contextmanager
    def open_account(self) -> Iterator[PracticeAccount]:
        yield self._notebook

    def open_living(self, owner: int) -> AbstractContextManager[LivingAccount]:
        raise NotChecked(f"No account of owner {owner} lives here.")
