"""The source of an episode: notes behind a local server that fails on request, and a program that collects them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from pdpp_worker.conformance.new import COMMAND, write
from pdpp_worker.conformance.server import serving
from tests.chaos.troubles import TROUBLE, able_to_go_wrong

CONNECTOR = "chaos_notes"
STREAM = "notes"
TOKEN = "a-token-of-the-episode"


def install(directory: Path) -> None:
    """Write the program below the directory of the owner's connectors."""
    folder = directory / CONNECTOR
    write(CONNECTOR, folder, COMMAND)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["pacing"] = {"min_interval_ms": 5}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    program = folder / "connector.py"
    program.write_text(able_to_go_wrong(program.read_text()))


@dataclass
class Notes:
    """The notes of one account. Every change has a number; a cursor is the number of the last change that was read."""

    note_change: Callable[[int, str], None]
    """Is told of each change, with the note's key, before anybody can read it."""
    pace_s: float = 0.0
    """How long each answer takes."""
    log: list[str] = field(default_factory=list)
    """The requests, in order."""
    _held: dict[str, dict[str, Any]] = field(default_factory=dict)
    _changes: list[str] = field(default_factory=list)
    _failing: dict[str, int] = field(default_factory=dict)
    _all_fail: int | None = None
    _slow_s: float = 0.0
    _trouble: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, *keys: str) -> None:
        """Write notes, new or again."""
        for key in keys:
            with self._lock:
                number = len(self._changes) + 1
                self.note_change(number, key)
                moment = f"2026-01-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}.000Z"
                self._held[key] = {"id": key, "text": f"words of change {number}", "updated_at": moment}
                self._changes.append(key)

    @property
    def truth(self) -> dict[str, dict[str, Any]]:
        """The content of the account."""
        with self._lock:
            return {key: dict(one) for key, one in self._held.items()}

    @property
    def keys(self) -> list[str]:
        """The notes, by age."""
        return sorted(self.truth)

    def fail(self, keys: dict[str, int]) -> None:
        """Answer with these statuses for these notes from now on."""
        self._failing = keys

    def fail_all(self, status: int) -> None:
        """Answer everything with this status from now on."""
        self._all_fail = status

    def slow(self, seconds: float) -> None:
        """Let every answer take so long from now on."""
        self._slow_s = seconds

    def upset(self, trouble: str) -> None:
        """Answer so that the program that reads a note goes wrong, from now on."""
        self._trouble = trouble

    def heal(self) -> None:
        """Answer as usual."""
        self._failing, self._all_fail, self._slow_s, self._trouble = {}, None, 0.0, None

    def answer(self, path: str, authorization: str | None) -> tuple[int, Any]:
        """Status and body of a GET."""
        time.sleep(self.pace_s + self._slow_s)
        parts = urlsplit(path)
        with self._lock:
            self.log.append(path)
            if authorization != f"Bearer {TOKEN}":
                return 401, {}
            if self._all_fail is not None:
                return self._all_fail, {}
            if parts.path == "/lists":
                return 200, [{"name": STREAM, "count": len(self._held), "last_change": len(self._changes)}]
            if parts.path == "/changes":
                return 200, self._page(**{name: int(one[0]) for name, one in parse_qs(parts.query).items()})
            if self._trouble is not None:
                return 200, {TROUBLE: self._trouble}
            key = parts.path.removeprefix("/notes/")
            if key in self._failing:
                return self._failing[key], {}
            return (200, self._held[key]) if key in self._held else (404, {})

    def _page(self, after: int, limit: int) -> list[dict[str, Any]]:
        numbered = [{"number": number, "id": key} for number, key in enumerate(self._changes, start=1)]
        return numbered[after : after + limit]


@contextmanager
def serve(notes: Notes) -> Iterator[str]:
    """The address at which the notes can be read."""
    with serving(notes.answer) as url:
        yield url
