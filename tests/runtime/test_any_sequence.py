"""Whatever a command sends, in whatever order: the books balance, and no stream that lost anything is complete."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, cast

import pytest

from pdpp_worker import registry
from pdpp_worker.command.collect import facts_of
from pdpp_worker.command.dialect.forms import Reply
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.connector import Context, Interaction, Message, Start
from pdpp_worker.coverage import all_streams, outlook
from pdpp_worker.coverage.verdict import Verdict
from pdpp_worker.protocol.profile.mapping import map_manifest
from tests.protocol.test_vectors import vectors
from tests.support.scripted import Scenario, ScriptedConnector

MANIFEST = map_manifest(vectors("manifest")[0]["message"], ["program"]).manifest.model_copy(update={"name": "scripted"})
STREAMS = ("letters", "stamps", "scans", "parcels", "tracking", "album")
SEEDS = range(30)
# What these would have said hides nothing; nor does a record of a stream that nobody asked for.
HARMLESS = {"line", "message", "STATE", "DETAIL_GAP_RECOVERED", "DETAIL_GAP_ATTEMPTED"}
NO_DETAILS: dict[str, Any] = {"required_keys": [], "hydrated_keys": []}


def good_record(key: str, stream: str) -> dict[str, Any]:
    """A record as it should be."""
    return {
        "type": "RECORD",
        "stream": stream,
        "key": key,
        "data": {"id": key},
        "emitted_at": "2026-03-02T00:00:00Z",
    }


def record(chance: random.Random, stream: str) -> dict[str, Any]:
    """A record, good or flawed."""
    good = good_record(f"k{chance.randrange(8)}", stream)
    flaws: list[dict[str, Any]] = [
        *({},) * 8,
        {"key": None},
        {"data": None},
        {"data": {"id": 7}},
        {"data": {}},
        {"data": {"id": "another"}},
        {"emitted_at": "soon"},
        {"stream": "elsewhere"},
        {"stream": None},
        {"op": "delete", "data": None},
    ]
    return {**good, **chance.choice(flaws)}


def message(chance: random.Random, gaps: list[str]) -> Any:
    """Any message, good or flawed."""
    stream, other, key = chance.choice(STREAMS), chance.choice(STREAMS), f"k{chance.randrange(8)}"
    keys = [f"k{number}" for number in range(chance.randrange(4))]
    account = {"stream": stream, "state_stream": other, "required_keys": keys, "hydrated_keys": keys[:1]}
    gap_id = chance.choice([*gaps, "0"])
    return chance.choice(
        [
            *(record(chance, stream) for _ in range(6)),
            {"type": "STATE", "stream": stream, "cursor": chance.choice([{"n": 1}, [1], None, "x"])},
            {"type": "SKIP_RESULT", "stream": stream, "diagnostics": {"id": key}},
            {"type": "SKIP_RESULT", "stream": stream, "reason": "odd", "recovery_hint": {}},
            {"type": "SKIP_RESULT", "stream": stream, "reason": "note", "diagnostics": {"retained": True}},
            {"type": "DETAIL_GAP", "stream": stream, "parent_stream": other, "record_key": key},
            {"type": "DETAIL_GAP", "stream": stream, "record_key": key, "gap_id": gap_id},
            {"type": "DETAIL_GAP_RECOVERED", "stream": stream, "gap_id": gap_id, "reference_only": True},
            {"type": "DETAIL_GAP_ATTEMPTED", "stream": stream, "gap_id": gap_id, "lease_id": "l"},
            {"type": "DETAIL_COVERAGE", "reference_only": True, **account, "gap_keys": keys[1:]},
            {"type": "DETAIL_COVERAGE", **account},
            {"type": "PROGRESS", "message": 1, "count": "many"},
            {"type": "ASSISTANCE", "message": "m"},
            {"type": "SOMETHING_ELSE", "stream": stream},
            "no object",
            None,
        ]
    )


def script(seed: int, start: Start) -> list[bytes]:
    """The lines of one run."""
    chance = random.Random(seed)
    gaps, most = [gap.gap_id for gap in start.detail_gaps], chance.choice([4, 4, 4, 60])
    # Few flaws, so that most streams come out well: each must be seen through what is good around it.
    lines = [message(chance, gaps) for _ in range(chance.randrange(1, most))]
    lines += [good_record(key, stream) for stream in STREAMS for key in ("a", "b")]
    lines += [
        {"type": "DETAIL_COVERAGE", "reference_only": True, "stream": "tracking", "state_stream": parent, **NO_DETAILS}
        for parent in ("letters", "parcels")
    ]
    lines += [{"type": "STATE", "stream": stream, "cursor": {"n": 2}} for stream in STREAMS]
    count = sum(isinstance(line, dict) and line["type"] == "RECORD" for line in lines)
    ends = [
        {"type": "DONE", "status": "succeeded", "records_emitted": count},
        {"type": "DONE", "status": "succeeded", "records_emitted": count},
        {"type": "DONE", "status": "failed", "records_emitted": count, "error": {"message": "m"}},
        {"type": "DONE", "status": "succeeded", "records_emitted": count + 1},
    ]
    return [json.dumps(line).encode() for line in [*lines, chance.choice(ends)]]


def lost(lines: list[bytes]) -> set[str]:
    """The streams of which a record was refused in these lines."""
    found: set[str] = set()
    for line in map(json.loads, lines):
        if isinstance(line, dict) and line["type"] == "RECORD" and not _is_good(line):
            found |= set(STREAMS) if line["stream"] is None else {line["stream"]}
    return found


def _is_good(line: dict[str, Any]) -> bool:
    if line["key"] is None or line["emitted_at"] == "soon":
        return False
    return line.get("op") == "delete" or (line["data"] or {}).get("id") == line["key"]


def install(scenario: Scenario, seed: int) -> list[bytes]:
    """Let the connection's connector send the lines of this seed; returns them as they are sent."""
    sent: list[bytes] = []

    def collect(start: Start, context: Context) -> Iterator[Message]:
        handover = Handover(start.detail_gaps, token=lambda: "l")
        handover.first()
        reader = DialectReader(facts_of(MANIFEST, start, context, handover))
        for line in script(seed, start):
            sent.append(line)
            for item in reader.read(line):
                if not isinstance(item, Reply | Interaction):
                    yield cast("Message", item)

    connector = ScriptedConnector(MANIFEST, "scripted", collect)
    scenario._monkeypatch.setattr(registry, "all_connectors", lambda: {"scripted": connector})
    scenario.manifest = MANIFEST
    return sent


def complete_streams(scenario: Scenario) -> set[str]:
    """The streams that are shown as complete."""
    with scenario.db.begin() as connection:
        found = all_streams.read(connection, outlook.read(scenario.settings, connection))
    return {one.stream for one in found if one.verdict is Verdict.COMPLETE}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_books_balance_and_nothing_that_lost_a_record_is_complete(scenario: Scenario, seed: int) -> None:
    sent = install(scenario, seed)

    for turn in range(3):
        sent.clear()
        scenario.elapse()
        run = scenario.run()

        assert run["ended_at"] is not None, turn
        assert run["records_emitted"] == run["records_flushed"] + run["records_unchanged"] + run["records_rejected"]
        assert complete_streams(scenario).isdisjoint(lost(sent))
        if run["messages_refused"] or run["records_rejected"]:
            told = {name for name in run["messages_refused"] if name.partition(".")[0] not in HARMLESS}
            assert run["status"] != "succeeded" or told <= {"RECORD.stream", "SOMETHING_ELSE.type"}
