"""No missing item is invisible in the strips: it is in its month, or is said to be without a time."""

from __future__ import annotations

from pdpp_worker.connector import BatchScope, Reason, ResourceScope, skip
from tests.support.indexing import index_at_once
from tests.support.scripted import Scenario, manifest, record, state
from tests.web.conftest import Owner

TALKS = {"name": "talks", "reading": {"title": "topic", "time": "at"}}
LINES = {
    "name": "lines",
    "parent_streams": ["talks"],
    "coverage_strategy": "parent_detail_accounting",
    "belongs_to": {"talks": "talk_id"},
}


def test_a_missing_item_is_in_the_month_that_is_known_or_is_without_a_time(owner: Owner, scenario: Scenario) -> None:
    scenario.manifest = manifest(TALKS, LINES)
    scenario.send(
        record("t1", "talks", topic="Green doors", at="2024-03-05T00:00:00Z"),
        record("l1", "lines", talk_id="t1"),
        skip("lines", Reason.TIMED_OUT, ResourceScope(resource_id="t1")),
        skip("lines", Reason.TIMED_OUT, ResourceScope(resource_id="nothing is held")),
        skip("talks", Reason.TIMED_OUT, ResourceScope(resource_id="t9")),
        skip("talks", Reason.TIMED_OUT, ResourceScope(resource_id="2024-05-02")),
        skip("talks", Reason.TIMED_OUT, BatchScope(partition={"folder": "a", "month": "2024-06"})),
        skip("talks", Reason.TIMED_OUT, ResourceScope(resource_id="t8"), detail={"sent": "2024-05-31T23:59:00Z"}),
        skip("talks", Reason.TIMED_OUT, ResourceScope(resource_id="2024-77-no-day")),
        state(1, "talks"),
    )
    scenario.run()
    index_at_once(scenario.db)

    strips = {one["stream"]: one for one in owner.json("/connections/1/coverage.json")}
    html = owner.get("/connections/1/coverage")

    missing = {
        name: {month["begin"][:7]: month["missing"] for month in strip["months"] if month["missing"]}
        for name, strip in strips.items()
    }
    assert missing == {"lines": {"2024-03": 1}, "talks": {"2024-05": 2, "2024-06": 1}}
    assert (strips["lines"]["missing_without_time"], strips["talks"]["missing_without_time"]) == (1, 2)
    assert html.count("missing without a time") == 2
    assert (strips["talks"]["by_arrival"], strips["lines"]["by_arrival"]) == (False, True)
    assert "have no time of their own" in html
