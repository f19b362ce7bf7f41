"""The cost of a walk: the size of its cursor, the number of its states, its memory."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

from connectors.claude_code import stream_counts, transcript
from pdpp_worker.connector import Record, State
from tests.connectors.claude_code.logs import (
    PROJECT,
    A,
    encoded,
    run,
    said,
    stream_messages,
    uuids,
    write,
)

FILE = f"{PROJECT}/{A}.jsonl"


def test_the_cursor_holds_no_path_and_few_bytes_a_file(root: Path) -> None:
    for number in range(200):
        session = f"{number:08x}-1111-4222-8333-444444444444"
        write(root / PROJECT / f"{session}.jsonl", *(said(f"u{n}", "x" * 4000, session=session) for n in range(20)))

    text = json.dumps(run(root).state["sessions"], separators=(",", ":"))

    assert "owner" not in text
    assert len(text) < 80 * 200


def test_states_come_by_work_done_and_not_by_file(root: Path) -> None:
    for number in range(3000):
        session = f"{number:08x}-1111-4222-8333-444444444444"
        write(root / PROJECT / f"{session}.jsonl", said("u1", session=session))

    outcome = run(root)

    assert sum(isinstance(message, State) for message in outcome.sent) == 2
    assert len(outcome.ids("messages")) == 3000


def test_a_state_in_the_middle_of_a_file_spares_what_came_before(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_counts, "RECORDS_PER_STATE", 4)
    write(root / FILE, *(said(f"u{n}") for n in range(10)))

    state = next(message for message in stream_messages(root) if isinstance(message, State))

    assert uuids(run(root, {"sessions": state.cursor})) == [f"u{n}" for n in range(4, 10)]


@pytest.mark.parametrize("files", [0, 4_999, 5_000, 50_000])
def test_a_state_never_costs_more_than_a_fixed_share_of_the_work_before_it(files: int) -> None:
    due = stream_counts.StreamCounts("sessions", files=files, bytes=stream_counts.BYTES_PER_STATE)

    bytes_a_state = 75 * files
    spared = not due.is_due

    assert spared or bytes_a_state <= stream_counts.BYTES_PER_STATE / 20


def test_memory_does_not_grow_with_a_file_or_a_line(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE_BYTES", 500_000)
    line = encoded(said("u1", "x" * 4000))
    with write(root / FILE).open("wb") as file:
        for _ in range(2500):
            file.write(line)
        for _ in range(10):
            file.write(b"x" * 1_000_000)
        file.write(b"\n" + line)
    tracemalloc.start()

    count = sum(isinstance(message, Record) for message in stream_messages(root))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert count > 2500
    assert peak < 8_000_000
