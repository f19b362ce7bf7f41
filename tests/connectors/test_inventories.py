"""An inventory tells of parts of the source that are not collected: members of any number, and the rest of an item."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from pdpp_worker.connector import SourceMember, inventory_of
from pdpp_worker.connector.json_fields import rest_of
from pdpp_worker.protocol.messages import MOST_MEMBERS


def unknown(number: int, kind: str = "file", size: int | None = 10) -> SourceMember:
    return SourceMember(kind=kind, name=f"{kind} {number}", disposition="unknown", count=1, bytes=size)


def test_members_that_fit_are_named_one_by_one() -> None:
    members = [unknown(number) for number in range(MOST_MEMBERS)]

    assert inventory_of("disk", members).members == members


@pytest.mark.parametrize("others", [["table"], ["table"] * 700, [f"kind {number}" for number in range(400)]])
def test_of_more_members_than_fit_none_goes_uncounted(others: list[str]) -> None:
    members = [*(unknown(number) for number in range(MOST_MEMBERS)), *(unknown(0, kind) for kind in others)]

    found = inventory_of("disk", members).members

    counts: Counter[str] = Counter()
    for one in found:
        counts[one.kind] += one.count or 0
    assert len(found) <= MOST_MEMBERS
    assert counts == Counter(one.kind for one in members)
    assert sum(one.bytes or 0 for one in found) == 10 * len(members)


def test_members_of_unknown_size_have_no_size_together() -> None:
    members = [unknown(number, size=None) for number in range(MOST_MEMBERS + 1)]

    last = inventory_of("disk", members).members[-1]

    assert (last.name, last.count, last.bytes) == ("2 others", 2, None)


@pytest.mark.parametrize("value", [0, False, 1.5, "x", [None], {"a": None}])
def test_the_rest_of_an_item_is_what_no_field_holds_as_it_came(value: Any) -> None:
    assert rest_of({"id": "a", "new": value}, {"id", "title"}) == {"new": value}


@pytest.mark.parametrize("nothing", [None, "", [], {}])
def test_the_rest_of_an_item_leaves_out_what_says_nothing(nothing: Any) -> None:
    assert rest_of({"id": "a", "new": nothing}, {"id"}) == {}
