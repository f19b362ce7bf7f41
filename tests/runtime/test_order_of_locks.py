"""All that change rows of several tables lock them in one order, so that none waits for one that waits for it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from pdpp_worker.connector import AuthExpired, Context, Inventory, Message, SourceAccount, SourceMember, Start
from pdpp_worker.dispatch import dispatch
from pdpp_worker.owner import connection_changes
from pdpp_worker.owner import deletions as owner_deletions
from pdpp_worker.recovery.structural import sweep_structural
from pdpp_worker.recovery.sweep import recover, sweep_transient
from pdpp_worker.recovery.upgrade import sweep_upgrade
from pdpp_worker.store import connections, edits, run_parked, run_slices
from pdpp_worker.store.engine import Database
from pdpp_worker.store.gaps import by_owner
from pdpp_worker.store.gaps.selection import GapFilter
from tests.support.backlog import TARGETED, healing, missing
from tests.support.schedule import plan
from tests.support.scripted import Scenario, manifest, record, state

DOCUMENT = Path(__file__).parents[2] / "docs" / "architecture.md"
ORDER = re.findall(r"`(\w+)`", re.search(r"in this order:(.*?)\n   Rows", DOCUMENT.read_text(), re.DOTALL)[1])  # type: ignore[index]
CHILD = {"name": "parts", "parent_streams": ["items"], "coverage_strategy": "parent_detail_accounting"}
WRITE = re.compile(r"(?:INSERT INTO|(?<!DO )(?<!FOR )(?<!KEY )\bUPDATE|DELETE FROM)\s+(\w+)")
LOCK = re.compile(r"FROM (\w+).*?FOR (?:NO KEY )?UPDATE", re.DOTALL)


@contextmanager
def watched(db: Database) -> Iterator[list[list[str]]]:
    """The tables of which each transaction inside the block locks rows, in the order of their first locks."""
    transactions: list[list[str]] = []

    def begin(connection: Any) -> None:
        connection.info["tables"] = []
        transactions.append(connection.info["tables"])

    def execute(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        for table in [*WRITE.findall(statement), *LOCK.findall(statement)]:
            if table not in (*connection.info["tables"], "events", "audit"):
                connection.info["tables"].append(table)

    event.listen(db.engine, "begin", begin)
    event.listen(db.engine, "before_cursor_execute", execute)
    try:
        yield transactions
    finally:
        event.remove(db.engine, "begin", begin)
        event.remove(db.engine, "before_cursor_execute", execute)


def everything(scenario: Scenario) -> None:
    """All that the fleet and its owner do to rows of several tables."""
    scenario.manifest = manifest(recovery={**TARGETED, "supports_version_bumped_retry": True})
    plan(scenario)
    scenario.send(record("a"), *missing("b", "c"), *missing("d", reason="template_unknown"), state(1))
    dispatch(scenario.settings, scenario.db)
    scenario.work()
    sweep_structural(scenario.db)
    scenario.install(signed_out)
    recover(scenario.settings, scenario.db, [scenario.connection_id])
    scenario.work()
    with scenario.db.begin() as connection:
        connections.set_credentials(connection, scenario.connection_id, {"token": "env:NEW"})
    scenario.install(healing, manifest(version="2.0.0", recovery=scenario.manifest.recovery))
    sweep_upgrade(scenario.settings, scenario.db)
    sweep_transient(scenario.settings, scenario.db)
    scenario.work()
    deletions(scenario)
    stop(scenario)
    by_hand(scenario)


def stop(scenario: Scenario) -> None:
    """A worker that stops ends a slice that waits."""
    with scenario.db.begin() as connection:
        claimed = run_slices.claim_slice(connection, scenario.queue(), "here", 30.0)
    assert claimed is not None
    with scenario.db.begin() as connection:
        run_parked.end_all(connection, [run_parked.Parked(claimed.claim, progressed=True, rate={"interval_ms": 1.0})])
    scenario.work()


def deletions(scenario: Scenario) -> None:
    """Deletions that rest on absence, of a few records and of many, with what belongs to them."""
    child = {**CHILD, "belongs_to": {"items": "item"}}
    scenario.manifest = manifest("items", child)
    keys = [f"k{number}" for number in range(60)]
    absent = [record(key).model_copy(update={"op": "delete", "ground": "absent"}) for key in keys]
    scenario.send(*map(record, keys), *(record(key, "parts", item=key) for key in keys), state(2))
    scenario.run()
    for messages in (absent[:3], absent[:3], absent[3:40], absent[3:40]):
        scenario.send(SourceAccount(identity="U1"), *messages, state(3))
        scenario.run()
    member = SourceMember(kind="file", name="a", disposition="unknown")
    scenario.send(record("k0"), Inventory(part="disk", members=[member]), state(4))
    scenario.run()
    owner_deletions.confirm(scenario.db, "mine", None)
    scenario.send(SourceAccount(identity="U2"), state(5))
    scenario.run()
    connection_changes.accept_account(scenario.db, "mine")


def signed_out(_: Start, __: Context) -> Iterator[Message]:
    """A connector whose sign-in has expired."""
    raise AuthExpired("401")
    yield


def by_hand(scenario: Scenario) -> None:
    """An act of the owner."""
    for action in (by_owner.waive, by_owner.reopen):
        with scenario.db.begin() as connection:
            action(connection, [scenario.connection_id], GapFilter())
    with scenario.db.begin() as connection:
        now = connection.execute(text("SELECT now()")).scalar_one()
        mine = scenario.connection_id
        connections.schedule(connection, mine, every_s=60.0, cron=None, jitter_s=0.0, next_run_at=now)
        edits.change_settings(connection, scenario.connection_id, {"archive": "x"})
    with scenario.db.begin() as connection:
        connections.remove(connection, scenario.connection_id)


def test_locks_are_taken_in_the_documented_order(scenario: Scenario, no_haste: None) -> None:
    with watched(scenario.db) as transactions:
        everything(scenario)

    several = [tables for tables in transactions if len(tables) > 1]
    assert {table for tables in several for table in tables} <= set(ORDER)
    assert {tuple(tables) for tables in several if tables != sorted(tables, key=ORDER.index)} == set()


def test_the_lease_comes_first(scenario: Scenario, no_haste: None) -> None:
    with watched(scenario.db) as transactions:
        everything(scenario)

    several = [tables for tables in transactions if len(tables) > 1]
    assert {tuple(tables) for tables in several if tables[0] != "leases"} == set()
    needed = {"runs", "schedules", "records", "deletion_doubts", "gaps", "checkpoints", "source_members", "connections"}
    assert needed <= {table for one in several for table in one}
