"""Sessions are sums over files, right however the files are cut into runs."""

from __future__ import annotations

import random
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.claude_code import stream_counts
from pdpp_worker.connector import Message, State
from tests.connectors.claude_code.logs import PROJECT, A, B, Held, encoded, run, said, stream_messages, write
from tests.support.examples import examples

FILES = (f"{PROJECT}/{A}.jsonl", f"{PROJECT}/{A}/subagents/agent-1.jsonl", f"{PROJECT}/{B}.jsonl", "-p/agent-2.jsonl")


def sessions(*runs: list[Message]) -> dict[str, dict[str, Any]]:
    """The session rows after these runs."""
    held = Held()
    for sent in runs:
        held.take(sent)
    return held["sessions"]


def test_a_session_sums_its_transcript_and_its_subagents(root: Path) -> None:
    write(root / FILES[0], said("u1", second=10), said("u2", second=20))
    write(root / FILES[1], said("s1", second=15, cwd="/elsewhere"), said("s2", second=30))

    assert sessions(run(root).sent) == {
        A: {
            "id": A,
            "project_path": PROJECT,
            "cwd": "/home/owner/site",
            "git_branch": "main",
            "version": "2.0.1",
            "user_type": None,
            "entrypoint": None,
            "started_at": "2026-03-01T00:00:10.000Z",
            "last_event_at": "2026-03-01T00:00:30.000Z",
            "message_count": 4,
        }
    }


def test_a_tail_adds_to_what_earlier_runs_found(root: Path) -> None:
    write(root / FILES[0], said("u1", second=10))
    write(root / FILES[1], said("s1", second=15))
    first = run(root)
    write(root / FILES[1], said("s2", second=40, cwd="/elsewhere"), append=True)

    row = sessions(first.sent, run(root, first.state).sent)[A]

    assert (row["message_count"], row["last_event_at"]) == (3, "2026-03-01T00:00:40.000Z")
    assert row["cwd"] == "/home/owner/site"


def test_one_file_may_hold_several_sessions(root: Path) -> None:
    write(root / FILES[0], said("b1", session=B, second=5), said("a1", second=10))
    first = run(root)
    write(root / FILES[0], said("b2", session=B, second=20), append=True)

    rows = sessions(first.sent, run(root, first.state).sent)

    assert {key: row["message_count"] for key, row in rows.items()} == {A: 1, B: 2}


def test_a_rewritten_file_is_not_counted_twice(root: Path) -> None:
    write(root / FILES[0], said("u1", second=10), said("b1", session=B, second=11))
    write(root / FILES[2], said("b2", session=B, second=12))
    first = run(root)
    write(root / FILES[0], said("n1", second=20), said("n2", second=21), said("n3", second=22))

    rows = sessions(first.sent, run(root, first.state).sent)

    assert {key: row["message_count"] for key, row in rows.items()} == {A: 3, B: 1}
    assert rows[A]["started_at"] == "2026-03-01T00:00:20.000Z"


def test_a_file_that_the_tool_removed_still_counts_in_a_session_that_goes_on(root: Path) -> None:
    write(root / FILES[0], said("u1"))
    write(root / FILES[1], said("s1"))
    write(root / FILES[3], said("t1"))
    first = run(root)
    (root / FILES[1]).unlink()
    (root / FILES[3]).unlink()
    write(root / FILES[0], said("u2"), append=True)

    assert sessions(first.sent, run(root, first.state).sent)[A]["message_count"] == 4


def test_a_description_found_late_is_that_of_the_earliest_message(root: Path) -> None:
    write(root / FILES[1], said("s1", second=50, cwd="/later"))
    first = run(root)
    write(root / FILES[0], {"type": "queue-operation", "timestamp": "2026-03-01T00:00:01.000Z"}, said("u1", second=2))

    assert sessions(first.sent, run(root, first.state).sent)[A]["cwd"] == "/home/owner/site"


def test_a_transcript_without_messages_is_still_a_session(root: Path) -> None:
    write(root / FILES[0], {"type": "summary", "summary": "s"})

    assert sessions(run(root).sent)[A]["message_count"] == 0


STEPS = st.lists(st.tuples(st.sampled_from(range(4)), st.sampled_from(["a", "b", "half", "event", "run"])), max_size=25)


def play(root: Path, steps: list[tuple[int, str]], seed: int) -> tuple[Held, Held]:
    """Append to files with runs in between; what these runs hold, and what one run over the end holds."""
    grown, state, number = Held(), None, count()
    shuffled = random.Random(seed).sample(range(86_000), 100)
    halves: dict[int, bytes] = {}
    for file, act in [*steps, (0, "run")]:
        if act == "run":
            outcome = run(root, state)
            grown.take(outcome.sent)
            state = outcome.state
            continue
        now = next(number)
        line: dict[str, Any] = said(f"u{now}", session=A if act == "a" else B, second=shuffled[now], cwd=f"/{now}")
        if act == "event":
            line = {"type": "system", "timestamp": line["timestamp"], "n": now}
        text = halves.pop(file, b"") + encoded(line)
        if act == "half":
            text, halves[file] = text[:-30], text[-30:]
        path = root / FILES[file]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as out:
            out.write(text)
    return grown, Held().take(run(root).sent)


@given(STEPS, st.integers(0, 1000))
@examples(5)
def test_many_small_runs_hold_what_one_run_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, str]], seed: int
) -> None:
    grown, whole = play(tmp_path_factory.mktemp("projects"), steps, seed)

    assert grown.data == whole.data


def write_mixed(root: Path) -> None:
    """Files of every kind, some lines broken."""
    number = count()
    for file in FILES:
        lines = [said(f"u{n}", session=(A, B)[n % 2], second=n) for n in (next(number) for _ in range(7))]
        write(root / file, *lines[:3], b"broken", *lines[3:], {"type": "summary", "n": 1})
    for name in ("r1.txt", "r2.txt", "r3.txt"):
        write(root / PROJECT / A / "tool-results" / name, name.encode())


def test_a_run_killed_after_any_message_goes_on_from_its_last_state(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_counts, "RECORDS_PER_STATE", 2)
    write_mixed(root)
    whole = list(stream_messages(root))
    expected, gaps = Held().take(whole).data, {m.record_key for m in whole if m.type == "DETAIL_GAP"}
    assert sum(isinstance(message, State) for message in whole) > 10

    for killed_after in range(len(whole)):
        held, seen, state = Held(), set(), None
        sent = whole[:killed_after]
        last = max((n for n, message in enumerate(sent) if isinstance(message, State)), default=-1)
        for message in sent[: last + 1]:
            state = {"sessions": message.cursor} if isinstance(message, State) else state
            seen |= {message.record_key} if message.type == "DETAIL_GAP" else set()
        rest = run(root, state)
        held.take(sent[: last + 1]).take(rest.sent)

        assert held.data == expected
        assert seen | {gap.record_key for gap in rest.gaps} == gaps
