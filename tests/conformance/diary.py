"""A small diary at an HTTP server that lives, and a connector that keeps every rule about it; a fault is one method."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.server import serving
from pdpp_worker.connector import (
    WHOLE_STREAM,
    Context,
    DetailGap,
    GapToClose,
    Gone,
    Message,
    ProviderError,
    Record,
    ResourceScope,
    SourceAccount,
    Start,
    State,
    UpstreamError,
    closed_as_absent,
    closed_by,
    skip_for,
    still_missing,
)
from pdpp_worker.protocol.manifest import Manifest
from tests.conformance.notes import InNotebook

Obj = dict[str, Any]
TOKEN = "a-token-of-the-diary"
PAGE, STEP = 4, 3
"""Entries a page; the next one begins so many later, so that pages join."""
STREAM = "entries"
MANIFEST = Manifest.model_validate(
    {
        "name": "diary",
        "version": "1.0.0",
        "title": "Diary",
        "checkpoint_commit": "incremental",
        "credentials": {"token": {"title": "Token"}},
        "settings": {"base_url": {"title": "Address", "type": "url", "default": "https://diary.example"}},
        "recovery": {"supports_targeted_resource_fetch": True},
        "streams": [
            {
                "name": STREAM,
                "cursor_field": "at",
                "schema": {"type": "object", "required": ["id", "text", "at"], "additionalProperties": True},
            }
        ],
    }
)


class Diary(LivingAccount):
    """Entries, the newest first; the list says how many there are."""

    def __init__(self, owner: int) -> None:
        self.secrets = {"token": TOKEN}
        self._owner, self._clock = owner, 0
        self.entries: dict[str, Obj] = {}
        self._away: list[Obj] = []
        for _ in range(9):
            self._write(self._tick())
        self.events = {
            "an entry is written": lambda _: self._write(self._tick()),
            "two entries at one time": lambda rng: self._write(self._any(rng)["at"]),
            "an entry is changed": self._change,
            "an entry is deleted": self._delete,
            "an entry is back": self._restore,
        }

    def expected_records(self) -> Sequence[RecordGroup]:
        return [RecordGroup(STREAM, frozenset({key}), key) for key in self.entries]

    def answer(self, target: str, authorization: str | None) -> tuple[int, Obj]:
        parts = urlsplit(target)
        if authorization != f"Bearer {TOKEN}":
            return 401, {}
        if parts.path == "/me":
            return 200, {"id": f"owner-{self._owner}"}
        if parts.path == "/entries":
            return 200, self._page(int(dict(parse_qsl(parts.query))["offset"]))
        found = self.entries.get(parts.path.rpartition("/")[2])
        return (200, found) if found else (404, {"code": "deleted"})

    def _page(self, offset: int) -> Obj:
        listed = sorted(self.entries.values(), key=lambda one: (one["at"], one["id"]), reverse=True)
        shown = [{"id": one["id"], "at": one["at"]} for one in listed[offset : offset + PAGE]]
        return {"items": shown, "total": len(listed)}

    def _tick(self) -> str:
        self._clock += 1
        return f"2026-01-01T{self._clock // 60:02d}:{self._clock % 60:02d}:00.000Z"

    def _write(self, at: str) -> None:
        key = f"entry-{self._owner}-{len(self.entries) + len(self._away) + 1}-{self._clock}"
        self.entries[key] = {"id": key, "at": at, "text": f"Dear diary, this is {key} of a long day. " * 12}

    def _any(self, rng: Random) -> Obj:
        return self.entries[rng.choice(sorted(self.entries))]

    def _change(self, rng: Random) -> None:
        one = self._any(rng)
        self.entries[one["id"]] = one | {"at": self._tick(), "text": f"changed {rng.random()}"}

    def _delete(self, rng: Random) -> None:
        if len(self.entries) > 2:
            self._away.append(self.entries.pop(self._any(rng)["id"]))

    def _restore(self, rng: Random) -> None:
        if self._away:
            one = self._away.pop(rng.randrange(len(self._away)))
            self.entries[one["id"]] = one


class Diarist:
    """Walks the whole list each time, and reads the entries that have another time than when they were read."""

    def collect(self, start: Start, context: Context) -> Iterator[Message]:
        token = context.secret("token").get_secret_value()
        base_url = str(context.settings["base_url"])
        self.http = context.http(base_url=base_url, headers={"authorization": f"Bearer {token}"})
        self.context = context
        self.gone: set[str] = set()
        try:
            yield from self.account()
            yield from self.recover(start)
            if not start.recovery_only:
                yield from self.walk(start.cursor(STREAM) or {})
        except ProviderError as error:
            if not start.recovery_only:
                yield skip_for(error, STREAM, WHOLE_STREAM)

    def account(self) -> Iterator[Message]:
        yield SourceAccount(identity=str(self.get("/me")["id"]))

    def recover(self, start: Start) -> Iterator[Message]:
        for gap in start.detail_gaps[: start.budget.items]:
            assert isinstance(gap.scope, ResourceScope)
            yield from self.close(gap, gap.scope.resource_id)

    def close(self, gap: GapToClose, key: str) -> Iterator[Message]:
        try:
            record = self.read(key)
        except Gone:
            yield closed_as_absent(gap)
        except ProviderError as error:
            yield still_missing(error, gap)
        else:
            yield record
            yield closed_by(record, gap)

    def walk(self, cursor: Obj) -> Iterator[Message]:
        known, listed = cursor.get("known", {}), self.listed()
        for key, at in listed.items():
            if known.get(key) != at:
                yield from self.entry(key, at)
        yield from self.end(cursor, listed)

    def listed(self) -> dict[str, str]:
        """The whole list: key to time.

        Raises:
            UpstreamError: it contradicts itself.
        """
        found: dict[str, str] = {}
        offset, total = 0, 1
        while offset < total:
            answer = self.get("/entries", offset=offset)
            total = answer["total"]
            page = {one["id"]: one["at"] for one in answer["items"]}
            if offset and not page.keys() & found.keys():
                raise UpstreamError("the pages do not join")
            found |= page
            if not page:
                break
            offset += STEP
        if len(found) != total:
            raise UpstreamError(f"the list names {len(found)} of {total}")
        return found

    def end(self, cursor: Obj, listed: dict[str, str]) -> Iterator[Message]:
        """Say what is not listed in two walks, and keep what is; what is missing of that stands in a gap."""
        absent = {*cursor.get("known", {}), *cursor.get("absent", ())} - listed.keys()
        for key in sorted(absent):
            yield self.deletion(key, "absent")
        again = sorted(absent - set(cursor.get("absent", ())))
        known = {key: at for key, at in listed.items() if key not in self.gone}
        yield State(stream=STREAM, cursor={"known": known, "absent": again})

    def entry(self, key: str, at: str) -> Iterator[Message]:
        try:
            record = self.read(key)
            if str(record.data["at"]) < at:
                raise UpstreamError("the entry is older than the list says")
        except Gone:
            self.gone.add(key)  # the next walk sees whether it is listed
        except ProviderError as error:
            yield DetailGap(stream=STREAM, record_key=key, reason=error.reason)
        else:
            yield record

    def read(self, key: str) -> Record:
        data = self.get(f"/entries/{key}")
        if data.get("id") != key:
            raise UpstreamError("the answer is another entry")
        return Record(stream=STREAM, key=key, data=data, emitted_at=self.context.now())

    def deletion(self, key: str, ground: Any) -> Record:
        data = {"id": key}
        return Record(stream=STREAM, key=key, data=data, emitted_at=self.context.now(), op="delete", ground=ground)

    def get(self, path: str, **parameters: Any) -> Obj:
        try:
            found = self.http.get(path, params=parameters).json()
        except ValueError:
            raise UpstreamError("the answer is no JSON") from None
        if not isinstance(found, dict):
            raise UpstreamError("the answer is no object")
        return found


class DiarySubject:
    """The connector to check, and its account."""

    def __init__(self, diarist: type[Diarist]) -> None:
        self.connector = InNotebook(MANIFEST, "diary", lambda start, context: diarist().collect(start, context))

    @contextmanager
    def open_living(self, owner: int) -> Iterator[LivingAccount]:
        diary = Diary(owner)
        with serving(diary.answer) as url:
            diary.settings = {"base_url": url}
            yield diary
