"""The practice account of this connector, behind a local server. Let it answer as your platform does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pdpp_worker.conformance.account import Fault, PracticeAccount, RecordGroup, Request
from pdpp_worker.conformance.planting import Plant, Planted
from pdpp_worker.conformance.server import serving

NOTES = 7
TOKEN = "practice-token"  # noqa: S105 - opens a made-up account on loopback
MARKS = {Plant.FIELD: ("a new field",), Plant.MEMBER: ("voice_memos",), Plant.TOTAL: ()}
"""Things that can be planted in the account, by the texts that show them."""
_STATUS = {Fault.FAILING: 503, Fault.REFUSED: 429, Fault.GONE: 404}


class NotesAccount(PracticeAccount):
    """A made-up account, and what is wrong with it."""

    faults = frozenset(Fault)
    can_change = True
    plants = frozenset(MARKS)

    def __init__(self) -> None:
        self.secrets = {"token": TOKEN}
        self._log: list[Request] = []
        self._faults: dict[str, Fault] = {}
        self._is_signed_out = False
        self._planted: Plant | None = None
        self._notes: dict[str, dict[str, Any]] = {}
        self._changes: list[str] = []
        for number in range(NOTES):
            self._write(f"note-{number}", "first words")

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every note; each can be had alone."""
        return [RecordGroup("notes", frozenset({key}), key) for key in self._notes]

    def requests(self) -> Sequence[Request]:
        """The requests to the server."""
        return self._log

    def inject(self, fault: Fault, resources: Sequence[str]) -> None:
        """Let some notes, or the sign-in, fail."""
        self._is_signed_out = fault is Fault.SIGNED_OUT
        self._faults = dict.fromkeys(resources, fault)

    def restore(self) -> None:
        """All is well again."""
        self._is_signed_out, self._faults, self._planted = False, {}, None

    def plant(self, plant: Plant) -> Planted:
        """Let notes have a new field, the account another list, or the list more changes than it gives."""
        self._planted = plant
        return Planted(MARKS[plant], frozenset({"notes"}), 2 if plant is Plant.MEMBER else None)

    def change(self) -> None:
        """One note is rewritten, another is new."""
        self._write("note-0", "other words")
        self._write("note-new", "first words")

    def answer(self, path: str, authorization: str | None) -> tuple[int, Any]:
        """Status and body for a request."""
        parts = urlsplit(path)
        key = parts.path.removeprefix("/notes/") if parts.path.startswith("/notes/") else None
        self._log.append(Request(f"GET {path}", frozenset(filter(None, [key]))))
        if self._is_signed_out or authorization != f"Bearer {TOKEN}":
            return 401, {}
        if parts.path == "/lists":
            return 200, self._lists()
        if key is None:
            return 200, self._page(**{name: int(values[0]) for name, values in parse_qs(parts.query).items()})
        fault = self._faults.get(key)
        if fault is Fault.GARBLED:
            return 200, {"note": "in another shape"}
        if fault is not None:
            return _STATUS[fault], {}
        return (200, self._note(key)) if key in self._notes else (404, {})

    def _lists(self) -> list[dict[str, Any]]:
        """The account's lists, how much is in each, and the number of its last change."""
        last = len(self._changes) + (self._planted is Plant.TOTAL)
        lists = [{"name": "notes", "count": len(self._notes), "last_change": last}]
        other = {"name": "voice_memos", "count": 2, "last_change": 2}
        return [*lists, other] if self._planted is Plant.MEMBER else lists

    def _note(self, key: str) -> dict[str, Any]:
        new = {"mood": MARKS[Plant.FIELD][0]} if self._planted is Plant.FIELD else {}
        return self._notes[key] | new

    def _page(self, after: int, limit: int) -> list[dict[str, Any]]:
        numbered = [{"number": number, "id": key} for number, key in enumerate(self._changes, start=1)]
        return numbered[after : after + limit]

    def _write(self, key: str, text: str) -> None:
        self._changes.append(key)
        moment = f"2026-01-01T00:00:{len(self._changes):02d}.000Z"
        self._notes[key] = {"id": key, "text": f"{text} of {key}", "updated_at": moment}


@contextmanager
def open_account() -> Iterator[PracticeAccount]:
    """The account, while its server runs."""
    account = NotesAccount()
    with serving(account.answer) as url:
        account.settings = {"base_url": url}
        yield account
