"""Records against a model: whatever is sent, in whatever batches, the table ends as a dictionary would."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.engine import Database
from pdpp_worker.store.novelty import Novelty
from pdpp_worker.store.records import Written, write_records
from tests.support.desk import Desk, row


@dataclass(frozen=True)
class Sent:
    """A RECORD as a connector may send it."""

    key: str
    op: str
    data: tuple[tuple[str, Any], ...]
    version: float | None

    def row(self) -> RecordRow:
        """The same, ready to be written."""
        deleted, partial = self.op == "delete", self.op == "partial"
        return row(self.key, dict(self.data), version=self.version, deleted=deleted, partial=partial)


@dataclass(frozen=True)
class Held:
    """The row of the model for a key."""

    data: dict[str, Any]
    version: float | None
    deleted: bool
    partial: bool
    first_run: int
    last_run: int


class Model:
    """The rules of a record, one row after the other, without batches."""

    def __init__(self) -> None:
        self.held: dict[str, Held] = {}

    def take(self, sent: Sent, run: int) -> bool:
        """Whether the row was news."""
        held, data, partial = self.held.get(sent.key), dict(sent.data), sent.op == "partial"
        if held is None:
            self.held[sent.key] = Held(data, sent.version, sent.op == "delete", partial, run, run)
            return True
        if sent.version is not None and held.version is not None and sent.version < held.version:
            return False
        version = held.version if sent.version is None else sent.version
        if sent.op == "delete":
            after = replace(held, deleted=True)
        elif partial:
            after = replace(held, deleted=False, data={**held.data, **data}, partial=held.partial or held.deleted)
        else:
            after = replace(held, deleted=False, data=data, partial=False)
        if after == held:
            return False
        self.held[sent.key] = replace(after, version=version, last_run=run)
        return True


values = st.integers(0, 2) | st.sampled_from(["x", "\x00", "\ud800"])
sent = st.builds(
    Sent,
    key=st.sampled_from(["a", "b", "c"]),
    op=st.sampled_from(["upsert", "upsert", "partial", "delete"]),
    data=st.dictionaries(st.sampled_from("pqr"), values, max_size=2).map(lambda data: tuple(data.items())),
    version=st.none() | st.sampled_from([0.0, 1.0, 2.0, 3.0]),
)
batches = st.lists(st.lists(sent, min_size=1, max_size=8), min_size=1, max_size=5)


def one(op: str, version: float | None = None, **data: Any) -> Sent:
    """A row about the key `a`."""
    return Sent("a", op, tuple(data.items()), version)


def write(desk: Desk, run: int, batch: Iterable[Sent], novelty: Novelty | None = None) -> Written:
    """One batch of one run, in one transaction."""
    with desk.db.begin() as connection:
        rows = [each.row() for each in batch]
        return write_records(connection, desk.connection_id, run, "items", rows, novelty=novelty)


def table(desk: Desk) -> dict[str, Held]:
    """The rows of the table, as the model would say them."""
    return {
        key: Held(
            json.loads(bytes(held["raw"])) if held["raw"] is not None else held["data"],
            held["version"],
            held["deleted_at"] is not None,
            held["partial"],
            held["first_run_id"],
            held["last_run_id"],
        )
        for key, held in desk.held().items()
    }


def counts(desk: Desk) -> tuple[int, int, int]:
    """How many records are counted, how many of them as deleted, and how many as held in part."""
    held = desk.one("SELECT records, deleted, in_part FROM held_counts WHERE connection_id = :c")
    return held["records"], held["deleted"], held["in_part"]


@given(batches)
@example([[one("upsert", 5, p=1), one("upsert", 3, p=0), one("partial", 6, q=1)]])
@example([[one("upsert", 5, p=1)], [one("upsert", 3, p=0), one("partial", 6, q=1)]])
@example([[one("upsert", 5, p=1), one("partial", None, q=1), one("upsert", 3, p=0)]])
@example([[one("upsert", 1, p=1)], [one("upsert", 2, p=2), one("delete", 3)]])
@example([[one("upsert", -5, p=1), one("delete", 0), one("upsert", -1, p=2)]])
@example([[one("delete", p=1), one("partial", q=1)]])
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_table_ends_as_the_model_does(
    store: Database, monkeypatch: pytest.MonkeyPatch, batches: list[list[Sent]]
) -> None:
    monkeypatch.setattr("pdpp_worker.store.novelty.WORTHWHILE", 1)  # new rows are expected, rightly or not
    novelty = Novelty()
    desk, model = Desk(store), Model()

    for run, batch in enumerate(batches, start=1):
        written = write(desk, run, batch, novelty)

        flushed = sum(model.take(each, run) for each in batch)
        assert written == (flushed, len(batch) - flushed)
        assert table(desk) == model.held
        held = model.held.values()
        in_part = sum(each.partial and not each.deleted for each in held)
        assert counts(desk) == (len(held), sum(each.deleted for each in held), in_part)


@given(st.lists(sent, min_size=1, max_size=10), st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_does_not_matter_how_rows_are_divided_into_batches(
    store: Database, rows: list[Sent], data: st.DataObject
) -> None:
    cut = data.draw(st.integers(0, len(rows)))
    whole, parts = Desk(store), Desk(store)

    at_once = write(whole, 1, rows)
    first, second = write(parts, 1, rows[:cut]), write(parts, 1, rows[cut:])

    assert table(whole) == table(parts)
    assert at_once == (first.flushed + second.flushed, first.unchanged + second.unchanged)


def test_loading_the_same_again_touches_no_row(desk: Desk) -> None:
    rows = [row(f"k{n}", {"n": n}, version=1.0) for n in range(500)]
    assert desk.write(*rows) == (500, 0)
    before = desk.held()
    desk.next_run()

    assert desk.write(*rows) == (0, 500)

    assert desk.held() == before


def test_only_the_rows_that_changed_are_touched(desk: Desk) -> None:
    desk.write(*[row(f"k{n}", {"n": n}) for n in range(10)])
    before = desk.held()
    run_id = desk.next_run()

    assert desk.write(*[row(f"k{n}", {"n": 99 if n == 7 else n}) for n in range(10)]) == (1, 9)

    after = desk.held()
    assert {key for key in after if after[key] != before[key]} == {"k7"}
    assert (after["k7"]["first_run_id"], after["k7"]["last_run_id"]) == (before["k7"]["first_run_id"], run_id)


@pytest.mark.parametrize("separately", [True, False], ids=["batch by batch", "in one batch"])
def test_a_deleted_record_keeps_its_last_content(desk: Desk, separately: bool) -> None:
    rows = [row("a", {"text": "first"}), row("a", {"text": "kept"}), row("a", {}, deleted=True)]
    for batch in [[one] for one in rows] if separately else [rows]:
        desk.write(*batch)

    held = desk.held()["a"]
    assert held["deleted_at"] is not None
    assert held["data"] == {"text": "kept"}


def test_a_deleted_record_can_come_back(desk: Desk) -> None:
    desk.write(row("a", {"text": "same"}))
    desk.write(row("a", deleted=True))

    assert desk.write(row("a", deleted=True)) == (0, 1)
    assert desk.write(row("a", {"text": "same"})) == (1, 0)
    assert desk.held()["a"]["deleted_at"] is None


def test_a_deletion_of_what_was_never_held_is_held_as_one(desk: Desk) -> None:
    desk.write(row("a", {"id": "a"}, deleted=True))

    assert desk.held()["a"]["deleted_at"] is not None


def test_keys_of_other_streams_and_connections_are_other_records(desk: Desk, store: Database) -> None:
    other = Desk(store)
    desk.write(row("a", {"of": "one"}))
    other.write(row("a", {"of": "another"}))
    with store.begin() as connection:
        write_records(connection, desk.connection_id, 1, "others", [row("a", {"of": "others"})])

    assert desk.held()["a"]["data"] == {"of": "one"}
    assert other.held()["a"]["data"] == {"of": "another"}


def test_a_batch_larger_than_any_parameter_list_is_written(desk: Desk) -> None:
    rows = [row(f"k{n}", {"n": n}) for n in range(66_000)]

    assert desk.write(*rows) == (66_000, 0)
    assert desk.write(*rows[:10], row("k10", {"n": -1})) == (1, 10)
