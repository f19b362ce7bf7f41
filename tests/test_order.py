"""Each process of the suite begins with long tests, and none is lost."""

from __future__ import annotations

from typing import cast

import pytest

from tests.support.order import dealt


class Item:
    """A test, as far as its place in the order depends on it."""

    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def names(*files: str, each: int) -> list[pytest.Item]:
    """So many tests of each file."""
    return [cast("pytest.Item", Item(f"{file}::test_{number}")) for file in files for number in range(each)]


LONG = names("tests/fleet/test_a.py", "tests/fleet/test_b.py", "tests/chaos/test_c.py", each=2)
SHORT = names("tests/store/test_d.py", "tests/store/test_e.py", each=7)


def test_each_part_begins_with_whole_files_of_long_tests() -> None:
    first, second = LONG[:2] + LONG[4:], LONG[2:4]

    ordered = dealt([*SHORT, *LONG], 2)

    assert ordered[:4] == first
    assert ordered[10:12] == second
    assert [one for one in ordered if one in SHORT] == SHORT


@pytest.mark.parametrize("processes", [1, 2, 3, 7, 30])
@pytest.mark.parametrize("items", [[*SHORT, *LONG], LONG, SHORT, []])
def test_no_test_is_lost_or_doubled(items: list[pytest.Item], processes: int) -> None:
    ordered = dealt(items, processes)

    assert sorted(one.nodeid for one in ordered) == sorted(one.nodeid for one in items)
