"""An outage is told once when it begins and once when it is over, whoever finds out when."""

from __future__ import annotations

import time

from structlog.testing import capture_logs

from pdpp_worker.outages import Outage

BEGUN, OVER = "the server cannot be reached", "the server answers again"


def test_one_that_hung_in_an_outage_and_finds_out_after_its_end_begins_no_other() -> None:
    outage = Outage("the server")
    asked_at = time.monotonic()

    with capture_logs() as told:
        outage.began("refused", asked_at)
        outage.over()
        outage.began("timed out", asked_at)
        outage.over()

    assert [entry["event"] for entry in told] == [BEGUN, OVER]


def test_the_next_outage_is_another() -> None:
    outage = Outage("the server")

    with capture_logs() as told:
        outage.began("refused", time.monotonic())
        outage.over()
        outage.began("refused", time.monotonic())

    assert [entry["event"] for entry in told] == [BEGUN, OVER, BEGUN]
