"""An outage is told once when it begins and once when it is over, whoever finds out when."""

from __future__ import annotations

import time

import pytest

from pdpp_worker.outages import Outage


def test_one_that_hung_in_an_outage_and_finds_out_after_its_end_begins_no_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outage = Outage("the server")
    asked_at = time.monotonic()
    outage.began("refused", asked_at)
    outage.over()

    outage.began("timed out", asked_at)
    outage.over()

    assert capsys.readouterr().out.count("the server") == 2


def test_the_next_outage_is_another(capsys: pytest.CaptureFixture[str]) -> None:
    outage = Outage("the server")
    outage.began("refused", time.monotonic())
    outage.over()

    outage.began("refused", time.monotonic())

    assert capsys.readouterr().out.count("cannot be reached") == 2
