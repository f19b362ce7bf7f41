"""A projects directory of Claude Code whose content is known to the record."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID


def write_session(projects: Path, number: int, lines: int, first: int = 0) -> Path:
    """Append lines `first`…`first + lines` to session `number`; returns its file."""
    session = str(UUID(int=number))
    path = projects / "-home-owner-project" / f"{session}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        for line in range(first, first + lines):
            role = "user" if line % 2 == 0 else "assistant"
            entry = {
                "type": role,
                "uuid": str(UUID(int=number * 1_000_000 + line)),
                "sessionId": session,
                "timestamp": f"2026-01-01T00:00:{line % 60:02}.000Z",
                "cwd": "/home/owner/project",
                "message": {"role": role, "content": f"line {line} of session {number} " + "x" * 400},
            }
            file.write(json.dumps(entry) + "\n")
    return path
