"""Earlier content of a record is kept when it changes, within bounds, and goes with its connection."""

from __future__ import annotations

from typing import Any

import pytest

from pdpp_worker.store import connections, record_versions
from pdpp_worker.store.batch import RecordRow
from pdpp_worker.store.records import write_records
from pdpp_worker.store.views import version_views
from pdpp_worker.store.views.version_views import RecordVersion
from pdpp_worker.web.version_changes import MemberChange, changes
from tests.support.desk import Desk, row

MOST = 3


def write(desk: Desk, *rows: RecordRow, most: int = MOST) -> None:
    """Write records in one transaction, keeping so many versions of each."""
    with desk.db.begin() as connection:
        write_records(connection, desk.connection_id, desk.run_id, "items", list(rows), versions=most)


def versions(desk: Desk, key: str = "a") -> list[RecordVersion]:
    """The earlier versions of a record, the latest first."""
    with desk.db.begin() as connection:
        return version_views.of_record(connection, desk.connection_id, "items", key)


def contents(desk: Desk, key: str = "a") -> list[Any]:
    return [one.data for one in versions(desk, key)]


def test_a_change_keeps_what_was_before_with_its_run_and_connector(desk: Desk) -> None:
    write(desk, row("a", {"n": 1}), row("b", {"n": 1}))
    first, second = desk.run_id, desk.next_run()

    write(desk, row("a", {"n": 2}))

    [one] = versions(desk)
    assert (one.data, one.run_id, one.replaced_by_run_id, one.connector_version) == ({"n": 1}, first, second, "1.0.0")
    assert versions(desk, "b") == []


def test_a_record_that_is_new_or_the_same_has_none(desk: Desk) -> None:
    for _ in range(2):
        write(desk, row("a", {"n": 1}))

    assert versions(desk) == []


def test_a_deletion_leaves_the_last_content_in_the_record_itself(desk: Desk) -> None:
    write(desk, row("a", {"n": 1}))
    write(desk, row("a", deleted=True))
    deleted = contents(desk)

    write(desk, row("a", {"n": 2}))

    [one] = versions(desk)
    assert deleted == []
    assert one.data == {"n": 1}
    assert one.deleted_at is not None


def test_of_many_changes_the_last_ones_are_kept(desk: Desk) -> None:
    for n in range(MOST + 3):
        write(desk, row("a", {"n": n}))

    assert contents(desk) == [{"n": 4}, {"n": 3}, {"n": 2}]


def test_many_bytes_leave_fewer_versions(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("_KEEP", "_TRIM"):
        bounded = getattr(record_versions, name).replace(str(record_versions.BYTES), "1000")
        monkeypatch.setattr(record_versions, name, bounded)

    for n in range(5):
        write(desk, row("a", {"n": n, "text": "".join(chr(0x4E00 + (n * 7 + m) % 9000) for m in range(130))}))

    assert [data["n"] for data in contents(desk)] == [3, 2]


def test_of_a_version_that_is_too_large_the_fact_is_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_versions, "_KEEP", record_versions._KEEP.replace(str(record_versions.BYTES), "10"))
    write(desk, row("a", {"text": "long enough"}))

    write(desk, row("a", {"n": 2}))

    [one] = versions(desk)
    assert one.data is None
    assert one.bytes > 10


def test_none_is_kept_where_none_is_wanted(desk: Desk) -> None:
    for n in range(3):
        write(desk, row("a", {"n": n}), most=0)

    assert versions(desk) == []


def test_they_go_with_their_connection(desk: Desk) -> None:
    for n in range(2):
        write(desk, row("a", {"n": n}))

    with desk.db.begin() as connection:
        connections.remove(connection, desk.connection_id)

    assert versions(desk) == []


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1, "b": [1]}, {"a": 2, "b": [1]}, [MemberChange("a", "changed", 1, 2)]),
        ({"a": 1}, {"b": 2}, [MemberChange("a", "removed", 1, None), MemberChange("b", "added", None, 2)]),
        ({"a": None}, {}, [MemberChange("a", "removed", None, None)]),
        (None, {"a": 1}, None),
        ({"a": 1}, None, None),
    ],
)
def test_what_changed_is_told_member_by_member(before: Any, after: Any, found: Any) -> None:
    assert changes(before, after) == found
