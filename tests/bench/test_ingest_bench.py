"""The ingest benchmark measures loads that are right: every side holds the records, and the runtime keeps its books."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import mean

import pytest
from sqlalchemy import text

from bench.alone import Measure
from bench.ingest import data, rounds, side
from bench.ingest.rounds import LOADS, Result, WrongResultError
from bench.ingest.summary import summarise
from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.store.engine import Database
from tests.support.waiting import PATIENCE_S

RECORDS = 5000


def one_row(db: Database, query: str) -> dict[str, object]:
    with db.begin() as connection:
        return dict(connection.execute(text(query)).mappings().one())


def test_the_records_are_the_same_each_time_and_about_600_bytes_long() -> None:
    first, again = list(data.items(1000)), list(data.items(1000))

    assert first == again
    assert len({item["id"] for item in first}) == 1000
    assert 550 <= mean(len(json.dumps(item, ensure_ascii=False).encode()) for item in first) <= 650


def test_each_round_begins_with_another_side() -> None:
    orders = [rounds.order(number) for number in range(4)]

    assert [first for first, *_ in orders] == ["copy", "upsert", "runtime", "copy"]
    assert all(set(sides) == set(LOADS) for sides in orders)


def test_a_side_that_holds_something_else_is_refused(
    servers: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = data.write
    monkeypatch.setattr(data, "write", lambda folder, count: write(folder, count - 1))

    with pytest.raises(WrongResultError, match="copy"):
        list(rounds.run(servers, tmp_path, 10, rounds=1))


def test_the_runtime_checks_counts_and_remembers_as_in_a_fleet(
    servers: EmbeddedServers, db: Database, database_url: str, tmp_path: Path
) -> None:
    data.write(tmp_path, RECORDS)

    for unchanged in (0, RECORDS):
        side.measure("runtime", database_url, servers.redis_url, tmp_path)

        run = one_row(db, "SELECT * FROM runs ORDER BY id DESC LIMIT 1")
        assert (run["status"], run["records_emitted"], run["records_unchanged"]) == (
            "partially_completed",
            RECORDS,
            unchanged,
        )
        held = one_row(db, "SELECT count(*) AS records, count(raw) AS kept_twice FROM records")
        assert held == {"records": RECORDS, "kept_twice": 0}
        assert one_row(db, "SELECT count(*) FROM gaps WHERE status = 'open'")["count"] == RECORDS // 1000
        assert json.loads(str(one_row(db, "SELECT cursor FROM checkpoints")["cursor"]))["count"] == 4000


def test_speeds_are_compared_within_a_round() -> None:
    seconds = [{"copy": 1.0, "upsert": 4.0, "runtime": 2.0}, {"copy": 3.0, "upsert": 12.0, "runtime": 6.0}]
    results = [
        Result(number, name, load, Measure(taken[name], cpu_s=0.5, peak_rss=number))
        for number, taken in enumerate(seconds)
        for name, loads in LOADS.items()
        for load in loads
    ]

    figures = {(one.side, one.load): one for one in summarise(results, records=1000)}

    assert {key: one.ratio for key, one in figures.items()} == {
        ("copy", "first"): 1.0,
        ("upsert", "first"): 0.25,
        ("upsert", "second"): 0.25,
        ("runtime", "first"): 0.5,
        ("runtime", "second"): 0.5,
    }
    assert figures["copy", "first"].records_per_s == 500
    assert figures["copy", "first"].cpu_us == 500
    assert figures["copy", "first"].peak_rss == 1


@pytest.mark.process
def test_the_command_measures_every_side(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    command = [sys.executable, "-m", "bench", "ingest", f"--records={RECORDS}", "--rounds=1", f"--json={out}"]

    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)

    report = json.loads(out.read_text())
    loads = [(name, load) for name in LOADS for load in LOADS[name]]
    assert "pdpp-worker's runtime" in done.stdout
    assert report["records"] == RECORDS
    assert {"Python", "PostgreSQL", "psycopg"} <= report["machine"]["versions"].keys()
    assert [(one["side"], one["load"]) for one in report["measures"]] == loads
    assert [(one["side"], one["load"]) for one in report["figures"]] == loads
    assert all(one["measure"]["peak_rss"] > 0 for one in report["measures"])
