"""A small projects directory such as Claude Code keeps, made from a seed, for owners who have none.

Two projects, seven sessions, one with a subagent and tool results, and what goes wrong in life: a last line that is
only half written, a broken line, and a transcript that may not be read (root may read everything: there, a second
broken line takes its place).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from pdpp_worker.conformance.seeding import drawn_uuid, generator, named_uuid

Line = dict[str, Any]

_PROJECTS = {"-home-owner-garden": "/home/owner/garden", "-home-owner-letters": "/home/owner/letters"}
_SESSIONS = 7
_BEGIN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
_ASKED = ("Why does the test fail?", "Rename the module.", "Explain this loop.", "Add a check for empty input.")
_THOUGHT = ("The error names a missing key.", "The loop ends one step early.", "Two callers use the old name.")
_ANSWERED = ("Done; the suite is green.", "It stops before the last item.", "I changed both callers.", "See the diff.")
_COMMANDS = ("ls -la", "git diff --stat", "pytest -q", "grep -rn TODO .")
_HALF_BYTES = 90


def write_sample(directory: Path, seed: int) -> None:
    """Write the projects directory; the same seed writes the same files."""
    for number in range(_SESSIONS):
        _append(_transcript(directory, seed, number), *_turns(seed, number, 0, 3 + number))
    _write_helpers(directory, seed)
    with _transcript(directory, seed, 1).open("ab") as file:
        file.write(b'{"type":"assistant","message":{"role":\n')
    _append(_transcript(directory, seed, 1), *_turns(seed, 1, 50, 1))
    with _transcript(directory, seed, 2).open("ab") as file:
        file.write(_encode(_last_words(seed))[:_HALF_BYTES])
    _lock(_transcript(directory, seed, 3))


def append_activity(directory: Path, seed: int) -> None:
    """Continue the logs between two runs: work goes on, the half line is completed, the locked transcript opens.

    Each call adds another piece of work.
    """
    half = _transcript(directory, seed, 2)
    if not half.read_bytes().endswith(b"\n"):
        with half.open("ab") as file:
            file.write(_encode(_last_words(seed))[_HALF_BYTES:])
    _transcript(directory, seed, 3).chmod(0o644)
    first = _transcript(directory, seed, 0)
    done = first.stat().st_size
    _append(first, *_turns(seed, 0, done, 2))
    _append(_transcript(directory, seed, done), *_turns(seed, done, 0, 2))
    _write_result(directory, seed, f"toolu_{done}")


def _write_helpers(directory: Path, seed: int) -> None:
    """A subagent's transcript, a tool result and a note beside the first session."""
    turns = [line | {"isSidechain": True, "agentId": "a1f3"} for line in _turns(seed, 0, 20, 2)]
    _append(_session_directory(directory, seed) / "subagents" / "agent-a1f3.jsonl", *turns)
    _write_result(directory, seed, "toolu_0")
    note = directory / next(iter(_PROJECTS)) / "memory" / "MEMORY.md"
    note.parent.mkdir()
    note.write_text("---\nname: habits\n---\n\nRun the tests before every commit.\n", encoding="utf-8")


def _write_result(directory: Path, seed: int, name: str) -> None:
    path = _session_directory(directory, seed) / "tool-results" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = generator(seed, "result", name)
    path.write_text("".join(f"src/file{n}.py | {rng.randint(1, 90)}\n" for n in range(40)), encoding="utf-8")


def _lock(path: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() != 0:
        path.chmod(0)
        return
    with path.open("ab") as file:
        file.write(b"\x00" * 64 + b"\n")


def _transcript(directory: Path, seed: int, number: int) -> Path:
    project = list(_PROJECTS)[number % len(_PROJECTS)]
    return directory / project / f"{named_uuid(seed, 'session', number)}.jsonl"


def _session_directory(directory: Path, seed: int) -> Path:
    return _transcript(directory, seed, 0).with_suffix("")


def _last_words(seed: int) -> Line:
    return next(_turns(seed, 2, 99, 1))


def _turns(seed: int, number: int, part: int, count: int) -> Iterator[Line]:
    """Questions and answers of one piece of a session, every line threaded to the one before."""
    rng = generator(seed, "turns", number, part)
    when = _BEGIN + timedelta(days=number % 30, seconds=part)
    parent: str | None = None
    for _ in range(count):
        for body in _exchange(rng):
            when += timedelta(milliseconds=rng.randint(200, 40_000))
            line = _line(seed, number, body, when) | {"uuid": drawn_uuid(rng), "parentUuid": parent}
            parent = line["uuid"]
            yield line


def _exchange(rng: Random) -> Iterator[Line]:
    """A question, the assistant's work with a tool, and its answer."""
    tool = f"toolu_{rng.getrandbits(48):x}"
    model = {"model": "claude-sample", "usage": {"input_tokens": rng.randint(100, 9000), "output_tokens": 200}}
    thought = {"type": "thinking", "thinking": rng.choice(_THOUGHT), "signature": ""}
    call = {"type": "tool_use", "id": tool, "name": "Bash", "input": {"command": rng.choice(_COMMANDS)}}
    output = {"type": "tool_result", "tool_use_id": tool, "content": "ok\n" * rng.randint(1, 30)}
    yield {"role": "user", "content": rng.choice(_ASKED)}
    yield {"role": "assistant", "content": [thought, call], **model}
    yield {"role": "user", "content": [output]}
    yield {"role": "assistant", "content": [{"type": "text", "text": rng.choice(_ANSWERED)}], **model}


def _line(seed: int, number: int, body: Line, when: datetime) -> Line:
    return {
        "type": body["role"],
        "sessionId": named_uuid(seed, "session", number),
        "timestamp": when.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "cwd": list(_PROJECTS.values())[number % len(_PROJECTS)],
        "gitBranch": "main",
        "version": "2.0.14",
        "userType": "external",
        "isSidechain": False,
        "message": body,
    }


def _append(path: Path, *lines: Line) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.writelines(_encode(line) for line in lines)


def _encode(line: Line) -> bytes:
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
