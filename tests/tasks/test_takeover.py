"""While leases are held a look is planned for the instant at which the first of them runs out: one, and no more."""

from __future__ import annotations

import pytest

from pdpp_worker.tasks.delayed import Call
from pdpp_worker.tasks.takeover import Takeover


class Leases:
    """Leases that run out, as looks find them, and the looks that were planned."""

    def __init__(self, *left_s: float | None) -> None:
        self.left_s = list(left_s)
        self.planned: list[tuple[float, Call]] = []
        self.takeover = Takeover(lambda: self.left_s.pop(0), lambda call, pause_s: self.planned.append((pause_s, call)))

    @property
    def pauses(self) -> list[float]:
        return [pause_s for pause_s, _ in self.planned]


def test_nothing_is_planned_where_no_lease_is_held() -> None:
    leases = Leases(None)

    leases.takeover.look()

    assert leases.planned == []


def test_a_look_plans_the_next_one() -> None:
    leases = Leases(10.0, 20.0, None)
    leases.takeover.look()

    leases.planned[0][1]()
    leases.planned[1][1]()

    assert leases.pauses == [10.0, 20.0]


@pytest.mark.parametrize("later_s", [10.5, 30.0])
def test_a_look_in_between_plans_no_second_one(later_s: float) -> None:
    leases = Leases(10.0, later_s)

    leases.takeover.look()
    leases.takeover.look()

    assert leases.pauses == [10.0]


def test_an_earlier_lease_is_looked_at_in_place_of_a_later_one() -> None:
    leases = Leases(30.0, 5.0, None)
    leases.takeover.look()
    leases.takeover.look()

    for _, call in reversed(leases.planned):
        call()

    assert leases.pauses == [30.0, 5.0]
    assert leases.left_s == []
