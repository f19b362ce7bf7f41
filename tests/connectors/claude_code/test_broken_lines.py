"""Lines that are not whole, not JSON or too long: each is a gap with its place, and the rest is read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from connectors.claude_code import transcript
from pdpp_worker.connector import DetailGapRecovered, Reason
from tests.connectors.claude_code.logs import (
    PROJECT,
    A,
    encoded,
    run,
    said,
    to_close,
    uuids,
    write,
)

FILE = f"{PROJECT}/{A}.jsonl"


def test_a_half_written_last_line_waits_for_its_other_half(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    half = encoded(said("u2"))
    with path.open("ab") as file:
        file.write(half[:40])
    first = run(root)
    with path.open("ab") as file:
        file.write(half[40:])

    assert uuids(first) == ["u1"]
    assert not first.gaps
    assert uuids(run(root, first.state)) == ["u2"]


def test_a_whole_last_line_without_its_newline_is_read_and_not_read_again(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    with path.open("ab") as file:
        file.write(encoded(said("u2")).rstrip(b"\n"))
    first = run(root)
    with path.open("ab") as file:
        file.write(b"\n" + encoded(said("u3")))

    assert uuids(first) == ["u1", "u2"]
    assert uuids(run(root, first.state)) == ["u3"]


def test_broken_lines_are_gaps_at_their_offset_and_the_rest_is_read(root: Path) -> None:
    good = encoded(said("u1"))
    write(root / FILE, said("u1"), b"{broken", b"[]", said("u2"), b"nope", said("u3"))

    outcome = run(root)

    assert uuids(outcome) == ["u1", "u2", "u3"]
    assert [gap.reason for gap in outcome.gaps] == [Reason.PARSE_FAILED] * 2
    assert outcome.gaps[0].record_key == f"{FILE}@{len(good)}"
    assert outcome.gaps[0].detail_locator == {"file": FILE, "offset": len(good), "end": len(good) + 11, "lines": 2}
    assert run(root, outcome.state).sent[-1] == outcome.sent[-1]


def test_a_line_beyond_the_limit_is_a_gap_and_the_next_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcript, "MAX_LINE_BYTES", 1000)
    path = write(root / FILE, said("u1", "x" * 5000), said("u2"))

    outcome = run(root)
    write(path, said("u3"), append=True)

    assert uuids(outcome) == ["u2"]
    assert [gap.record_key for gap in outcome.gaps] == [f"{FILE}@0"]
    assert uuids(run(root, outcome.state)) == ["u3"]


def test_a_file_of_rubbish_is_one_gap(root: Path) -> None:
    write(root / FILE, *[b"{", b'"pretty": 1', b"}"] * 500)

    gaps = run(root).gaps

    assert len(gaps) == 1
    assert gaps[0].detail_locator is not None
    assert gaps[0].detail_locator["lines"] == 1500


OLD = (1_700_000_000, 1_700_000_000)


def test_a_last_line_that_nobody_writes_to_its_end_is_a_gap_once(root: Path) -> None:
    path = write(root / FILE, said("u1"))
    with path.open("ab") as file:
        file.write(encoded(said("u2"))[:40])
    first = run(root)
    state = first.state
    os.utime(path, OLD)

    second = run(root, state)

    assert not first.gaps
    assert [(gap.reason, gap.detail_locator) for gap in second.gaps] == [
        (
            Reason.PARSE_FAILED,
            {"file": FILE, "offset": path.stat().st_size - 40, "end": path.stat().st_size, "lines": 1},
        )
    ]
    assert not run(root, second.state).gaps


def test_what_follows_a_line_that_was_never_ended_is_read(root: Path) -> None:
    path = root / FILE
    write(path).write_bytes(encoded(said("u1")) + encoded(said("u2"))[:40])
    os.utime(path, OLD)
    first = run(root)

    write(path, said("u3"), append=True)
    second = run(root, first.state, gaps=[to_close(first.gaps[0])])

    assert set(uuids(second)) == {"u3"}
    assert [gap.gap_id for gap in second.gaps] == ["7"]


def test_a_line_that_is_ended_late_closes_its_gap(root: Path) -> None:
    path = root / FILE
    whole = encoded(said("u1"))
    write(path).write_bytes(whole[:40])
    os.utime(path, OLD)
    first = run(root)

    with path.open("ab") as file:
        file.write(whole[40:])
    second = run(root, first.state, gaps=[to_close(first.gaps[0])])

    assert set(uuids(second)) == {"u1"}
    assert [one.gap_id for one in second.sent if isinstance(one, DetailGapRecovered)] == ["7"]
    assert not second.gaps


def test_a_line_of_more_values_than_memory_can_hold_costs_itself_only(root: Path) -> None:
    write(root / FILE, said("u1"), b'{"x":[%s0]}' % (b"0," * 2_200_000), said("u2"))

    outcome = run(root)

    assert uuids(outcome) == ["u1", "u2"]
    assert [gap.reason for gap in outcome.gaps] == [Reason.PARSE_FAILED]
