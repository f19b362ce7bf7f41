"""The form of a schedule holds what is set, and after a refusal what was typed; what is changed in it counts."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner.durations import parse_duration, written_duration
from pdpp_worker.owner.schedule_rules import Written, changed, next_times, read, written
from tests.support.scripted import Scenario, record
from tests.web.conftest import Owner, inputs

PAGE = "/connections/1"
HOURLY, NIGHTLY = Written(every="1h"), Written(cron="30 3 * * *", timezone="America/New_York")


def test_the_form_holds_what_is_set_and_what_was_typed_when_it_is_refused(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))
    owner.done(f"{PAGE}/schedule", PAGE, cron="30 3 * * *", timezone="America/New_York")
    held = dict(inputs(owner.get(PAGE)))

    refused = owner.post(f"{PAGE}/schedule", PAGE, cron="30 3 * * *", timezone="Nowhere/Land")

    assert (held["every"], held["cron"], held["timezone"]) == ("", "30 3 * * *", "America/New_York")
    typed = dict(inputs(refused.text))
    assert (refused.status_code, typed["cron"], typed["timezone"]) == (400, "30 3 * * *", "Nowhere/Land")
    assert "is no time zone" in refused.text


def test_a_zone_alone_moves_the_times_and_the_next_ones_name_it(owner: Owner, scenario: Scenario) -> None:
    scenario.send(record("a"))
    owner.done(f"{PAGE}/schedule", PAGE, cron="30 3 * * *")

    html = owner.done(f"{PAGE}/schedule", PAGE, timezone="America/New_York")

    assert html.count("03:30:00 America/New_York (in") == 5
    assert "It is due now." in html


@pytest.mark.parametrize(
    ("held", "asked", "expected"),
    [
        (HOURLY, HOURLY._replace(every="2h"), read("2h", None, None)),
        (HOURLY, HOURLY._replace(cron="0 4 * * *"), read(None, "0 4 * * *", None)),
        (NIGHTLY, NIGHTLY._replace(every="2h"), read("2h", None, None)),
        (NIGHTLY, Written(timezone="Europe/Berlin"), read(None, "30 3 * * *", "Europe/Berlin")),
        (NIGHTLY, Written(), None),
    ],
)
def test_of_an_interval_and_times_the_changed_one_counts(held: Written, asked: Written, expected: object) -> None:
    assert changed(held, asked) == expected


def test_a_schedule_is_written_as_it_is_read() -> None:
    assert [parse_duration(written_duration(seconds)) for seconds in (1, 5400, 604_861)] == [1, 5400, 604_861]
    nightly = changed(Written(), NIGHTLY)
    assert nightly is not None
    assert written(nightly.every_s, nightly.cron) == NIGHTLY


def test_what_is_due_already_is_none_of_the_next_times() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)

    assert next_times(3600.0, None, now, 2, now) == [now.replace(hour=13), now.replace(hour=14)]


def test_a_refused_interval_names_all_forms_that_are_taken() -> None:
    with pytest.raises(ConfigurationError, match=r"15 minutes.*@daily"):
        read("15 parsecs", None, None)
