from __future__ import annotations

from pdpp_worker.connector import *  # noqa
from pdpp_worker.connector import (
    DetailCoverage,
    DetailGap,
    Done,
    DoneError,
    Progress,
    Record,
    UpstreamError,
)
from pdpp_worker.protocol.messages import SkipResult
from pdpp_worker.protocol.scope import WHOLE_STREAM
from tests.support.scripted import NOW, manifest, record, state


def go(scenario, *messages):
    scenario.send(*messages)
    return scenario.run()


def test_nul_error(scenario):
    def bad(_s, _c):
        yield record("a")
        raise UpstreamError("bad \x00 \ud800 text")

    scenario.install(bad)
    print(scenario.run()["status"])


def test_done_nul(scenario):
    print(go(scenario, record("a"), Done(status="failed", error=DoneError(message="x\x00")))["status"])


def test_progress_huge(scenario):
    print(go(scenario, record("a"), Progress(stream="items", count=1, total=10**30))["status"])


def test_progress_huge2(scenario):
    scenario.send(
        record("a"),
        Progress(stream="items", count=1, total=2**63 - 1),
        Progress(stream="items", count=1, total=2**63 - 1),
        Done(status="failed", error=DoneError(message="x")),
    )
    print(scenario.run()["status"])


def test_version_nul(scenario):
    print(
        go(
            scenario,
            record("a"),
            SkipResult(
                stream="items",
                reason="parse_failed",
                scope=WHOLE_STREAM,
                recovery_kind="retry_on_connector_upgrade",
                connector_version_required="1\x00",
            ),
        )["status"]
    )


def test_parent_nul(scenario):
    print(
        go(scenario, record("a"), DetailGap(stream="items", parent_stream="p\x00", record_key="k", reason="timed_out"))[
            "status"
        ]
    )


def test_skip_surrogate_scope(scenario):
    print(go(scenario, record("a"), DetailGap(stream="items", record_key="k\ud800\x00", reason="timed_out"))["status"])


def test_gap_id_garbage(scenario):
    print(
        go(scenario, record("a"), DetailGap(stream="items", record_key="k", reason="timed_out", gap_id="zzz\x00"))[
            "status"
        ]
    )


def test_key_garbage(scenario):
    print(go(scenario, Record(stream="items", key="k\ud800\x00", data={"a": float("nan")}, emitted_at=NOW))["status"])


def test_hydrated_closes_rejected(scenario):
    m = manifest(
        {"name": "items"},
        {
            "name": "details",
            "parent_streams": ["items"],
            "coverage_strategy": "parent_detail_accounting",
            "schema": {"type": "object", "required": ["x"]},
        },
    )
    scenario.manifest = m
    r = go(
        scenario,
        record("k"),
        Record(stream="details", key="k", data={}, emitted_at=NOW),
        DetailCoverage(stream="details", state_stream="items", required_keys=["k"], hydrated_keys=["k"]),
        state(1),
    )
    print(r["status"], [(g["status"], g["reason"]) for g in scenario.gaps()])


def test_big_record(scenario):
    data = {"id": "x", "n": [1] * 30_000_000}
    print(
        go(scenario, Record(stream="items", key="k", data=data, emitted_at=NOW), record("b"))["status"],
        len(scenario.held()),
    )


def test_unknown_connector(scenario, monkeypatch):
    from pdpp_worker import registry

    scenario.send(record("a"))
    run = scenario.queue()
    monkeypatch.setattr(registry, "all_connectors", dict)
    for _ in range(12):
        try:
            print(scenario.slice(run))
        except Exception as e:
            print(type(e), e)
            with scenario.db.begin() as c:
                from sqlalchemy import text

                c.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))
    print(scenario.row(run)["status"])


def test_crash_loop(scenario):
    class Killed(BaseException):
        pass

    def dies(_s, _c):
        yield record("a")
        raise Killed

    from sqlalchemy import text

    scenario.settings = scenario.settings.model_copy(update={"batch_records": 1})
    scenario.install(dies)
    run = scenario.queue()
    for n in range(30):
        try:
            r = scenario.slice(run)
            print(n, r)
            break
        except Killed:
            with scenario.db.begin() as c:
                c.execute(text("UPDATE leases SET expires_at = clock_timestamp()"))
    print(scenario.row(run)["status"], scenario.row(run)["slices"])


def test_empty_slices_multi(scenario):
    from pdpp_worker.runtime.guard import SliceEnded

    go(scenario, record("a"))
    calls = []

    def f(_s, _c):
        calls.append(1)
        if len(calls) == 1:
            raise SliceEnded
        return iter(())
        yield

    scenario.install(f)
    print(scenario.run()["status"])
