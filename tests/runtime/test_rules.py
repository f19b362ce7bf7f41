"""A record outside START's scope is refused before anything is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.connector import Record
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.scope import StreamScope, TimeRange
from pdpp_worker.runtime.rules import check_in_scope, moment_of, resource_of
from tests.support.scripted import NOW

CONTENT = "the owner's own words"
JANUARY = TimeRange(since="2026-01-01T00:00:00Z", until="2026-02-01T00:00:00Z")


def record(key: str | list[str] = "a", *, op: Any = "upsert", **data: Any) -> Record:
    """A record."""
    return Record(stream="items", key=key, data=data, emitted_at=NOW, op=op)


def check(one: Record, **scope: Any) -> None:
    """Check it against a scope."""
    check_in_scope(one, StreamScope(name="items", **scope), "at")


def test_a_scope_without_constraints_takes_all() -> None:
    check(record(text=CONTENT, at="1066-10-14"))


class TestResources:
    """`resources`: these and no others."""

    @pytest.mark.parametrize("key", ["a", ["a"], ["a", "anything"]])
    def test_that_were_asked_for_are_taken(self, key: str | list[str]) -> None:
        check(record(key), resources=["a", "b"])

    @pytest.mark.parametrize("key", ["c", ["c", "a"], "A"])
    @pytest.mark.parametrize("op", ["upsert", "delete"])
    def test_that_were_not_asked_for_are_refused(self, key: str | list[str], op: str) -> None:
        with pytest.raises(ProtocolViolation, match="'items' is outside the resources that START asked for") as caught:
            check(record(key, op=op, text=CONTENT), resources=["a", "b"])
        assert CONTENT not in str(caught.value)

    def test_an_empty_list_asks_for_none(self) -> None:
        with pytest.raises(ProtocolViolation):
            check(record(), resources=[])

    def test_the_resource_of_a_compound_key_is_its_first_part(self) -> None:
        assert (resource_of(record("a")), resource_of(record(["a", "b"]))) == ("a", "a")


class TestFields:
    """`fields`: these and no others."""

    @pytest.mark.parametrize("data", [{}, {"id": 1}, {"id": 1, "at": 2}])
    def test_that_were_asked_for_are_taken(self, data: dict[str, Any]) -> None:
        check(record(**data), fields=["id", "at"])

    def test_that_were_not_asked_for_are_refused_without_naming_content(self) -> None:
        with pytest.raises(ProtocolViolation, match="has a field that START did not ask for") as caught:
            check(record(id=1, diary=CONTENT), fields=["id", "at"])
        assert CONTENT not in str(caught.value)
        assert "diary" not in str(caught.value)


class TestTimeRange:
    """`time_range`: from `since` up to but without `until`."""

    @pytest.mark.parametrize(
        "at",
        [
            "2026-01-01T00:00:00Z",
            "2026-01-31T23:59:59.999999Z",
            "2026-01-01T01:00:00+01:00",
            datetime(2026, 1, 15, tzinfo=UTC).timestamp(),
        ],
    )
    def test_what_lies_inside_is_taken(self, at: Any) -> None:
        check(record(at=at), time_range=JANUARY)

    @pytest.mark.parametrize(
        "at",
        [
            "2025-12-31T23:59:59Z",
            "2026-02-01T00:00:00Z",
            "2026-01-01T00:30:00+01:00",
            datetime(2026, 3, 1, tzinfo=UTC).timestamp(),
        ],
    )
    def test_what_lies_outside_is_refused(self, at: Any) -> None:
        with pytest.raises(ProtocolViolation, match="outside the time range that START asked for"):
            check(record(at=at), time_range=JANUARY)

    @pytest.mark.parametrize(
        ("at", "inside"),
        [("1970-01-01T00:00:00Z", False), ("2026-01-01T00:00:00Z", True), ("2999-01-01T00:00:00Z", True)],
    )
    def test_an_open_end_has_no_bound(self, at: str, inside: bool) -> None:
        if inside:
            check(record(at=at), time_range=TimeRange(since=JANUARY.since))
        else:
            with pytest.raises(ProtocolViolation):
                check(record(at=at), time_range=TimeRange(since=JANUARY.since))

    def test_a_deletion_has_no_time_of_its_own(self) -> None:
        check(record(op="delete", at="1970-01-01T00:00:00Z"), time_range=JANUARY)


INSTANTS = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=st.timezones())  # noqa: DTZ001 - bounds


class TestMoment:
    """A time in any of the forms that platforms use."""

    @pytest.mark.parametrize(
        "value",
        ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00+00:00", "2026-01-01T01:00+01:00", 1767225600, 1767225600.0],
    )
    def test_every_form_of_an_instant_is_the_same_instant(self, value: Any) -> None:
        assert moment_of(value) == 1767225600.0

    @pytest.mark.parametrize(
        "value",
        [
            *(None, True, False, "", "soon", "2026-01-01", "2026-01-01T00:00:00", [], {}, b"1"),
            *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"),
        ],
    )
    def test_what_names_no_instant_is_none(self, value: Any) -> None:
        assert moment_of(value) is None

    @given(st.integers() | st.just(10**400) | st.floats(allow_nan=False) | st.text() | st.datetimes().map(str))
    def test_nothing_makes_it_fail(self, value: Any) -> None:
        assert moment_of(value) is None or isinstance(moment_of(value), float)

    @given(INSTANTS, INSTANTS)
    def test_instants_are_ordered_as_they_are(self, one: datetime, other: datetime) -> None:
        first, second = moment_of(one.isoformat()), moment_of(other.isoformat())

        assert first is not None
        assert second is not None
        assert (first < second) == (one.timestamp() < other.timestamp())
