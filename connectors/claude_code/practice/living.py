"""A small directory that lives: sessions go on and begin, lines are half written, transcripts are cleaned up."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.adversary.lies import Lie
from pdpp_worker.conformance.adversary.living_files import LivingFiles, a_directory
from pdpp_worker.conformance.seeding import named_uuid

_PROJECT = "-home-owner-garden"
_SESSIONS = 4
_NOTE = f"projects/{_PROJECT}/memory/habits.md"


class LivingLogs(LivingFiles):
    """Transcripts of one project, a note and a skill."""

    # A transcript in another place is another one, as a resumed session's is.
    lies = LivingFiles.lies - {Lie.MISPLACED, Lie.REPEATED}

    def __init__(self, directory: Path, owner: int) -> None:
        began = datetime.now(UTC).replace(hour=6, minute=0, second=0, microsecond=0) - timedelta(days=3)
        super().__init__(directory, began.timestamp())
        self.settings = {"projects_dir": str(directory / "projects"), "claude_dir": str(directory)}
        self._owner, self._number = owner, 0
        self._uuids: dict[str, list[tuple[str, str]]] = {}
        """By session: its lines, as uuid and type."""
        self._half: dict[str, bytes] = {}
        """The rest of a line that is half written."""
        self._gone: dict[str, bytes] = {}
        for _ in range(_SESSIONS):
            self._begin()
        self.write(_NOTE, b"---\nname: habits\n---\n\nRun the tests first.\n")
        self.write("skills/review/SKILL.md", b"---\nname: review\n---\n\nRead it twice.\n")
        self.events = {
            "a session begins": lambda _: self._begin(),
            "a session goes on": self._go_on,
            "a line is half written": self._write_half,
            "a transcript is cleaned up": self._clean_up,
            "a transcript is back": self._restore,
            "a note changes": lambda rng: self.write(_NOTE, f"---\nname: habits\n---\n\n{rng.random()}\n".encode()),
        }

    def settle(self, today: date) -> None:
        """Every line comes to its end."""
        super().settle(today)
        for session in sorted(self._half):
            self._append(session, 0)

    def _begin(self) -> None:
        session = named_uuid(self._owner, "session", len(self._uuids))
        self._uuids[session] = []
        self._append(session, 3)

    def _go_on(self, rng: Random) -> None:
        self._append(self._any(rng), rng.randint(1, 3))

    def _write_half(self, rng: Random) -> None:
        session = self._any(rng)
        line = self._line(session)
        at = rng.randrange(1, len(line))
        self.write(_place(session), self._half.pop(session, b"") + line[:at], append=True)
        self._half[session] = line[at:]

    def _append(self, session: str, count: int) -> None:
        lines = b"".join(self._line(session) for _ in range(count))
        self.write(_place(session), self._half.pop(session, b"") + lines, append=True)

    def _clean_up(self, rng: Random) -> None:
        session = self._any(rng)
        if len(self._living) > 2 and session not in self._half:
            self._gone[session] = self.files.pop(_place(session)).content

    def _restore(self, rng: Random) -> None:
        if self._gone:
            session = rng.choice(sorted(self._gone))
            self.write(_place(session), self._gone.pop(session))

    @property
    def _living(self) -> list[str]:
        return [session for session in self._uuids if session not in self._gone]

    def _any(self, rng: Random) -> str:
        return rng.choice(self._living)

    def _line(self, session: str) -> bytes:
        """The next line of a session."""
        self._number += 1
        kind = ("user", "assistant", "assistant", "summary")[self._number % 4]
        uuid = f"line-{self._number}"
        self._uuids[session].append((uuid, kind))
        line: dict[str, Any] = {
            "type": kind,
            "uuid": uuid,
            "sessionId": session,
            "timestamp": f"2026-03-02T09:{self._number // 60 % 60:02d}:{self._number % 60:02d}.000Z",
            "cwd": "/home/owner/garden",
        }
        said = {"summary": "Tests"} if kind == "summary" else {"message": {"role": kind, "content": f"No. {uuid}"}}
        return json.dumps(line | said).encode() + b"\n"

    def expected_records(self) -> Sequence[RecordGroup]:
        """The lines that are written to their end, with their sessions, and the documents."""
        notes = RecordGroup("memory_notes", frozenset({f"memory_notes:{_PROJECT}/habits.md"}))
        return [*self._records(self._living), notes, RecordGroup("skills", frozenset({"skills:review"}))]

    def may_be_held(self) -> Sequence[RecordGroup]:
        """Sessions that the tool has cleaned up."""
        return self._records(sorted(self._gone))

    def _records(self, sessions: Sequence[str]) -> list[RecordGroup]:
        keys: dict[str, set[str]] = {"messages": set(), "attachments": set()}
        for session in sessions:
            lines = self._uuids[session][: -1 if session in self._half else None]
            for uuid, kind in lines:
                keys["attachments" if kind == "summary" else "messages"].add(f"{session}#{uuid}")
        groups = [RecordGroup(stream, frozenset(found)) for stream, found in keys.items()]
        return [*groups, RecordGroup("sessions", frozenset(sessions))]


def _place(session: str) -> str:
    return f"projects/{_PROJECT}/{session}.jsonl"


@contextmanager
def open_living_account(owner: int) -> Iterator[LivingAccount]:
    """The directory of an owner, while it is there."""
    with a_directory() as directory:
        yield LivingLogs(directory, owner)
