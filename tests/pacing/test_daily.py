"""Bytes of a day: counted, remembered, and a hold once they are used."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pdpp_worker.pacing.daily import DAY_S, TOGETHER_S, DailyBytes, used_later
from pdpp_worker.pacing.intervals import cold_start_ms
from pdpp_worker.pacing.lanes import Lanes
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings
from tests.support.scripted import manifest

MOST = 1_000_000
START = 1_000_000.0
TOLD = {"most": MOST, "source": "the provider's page", "setting": "host", "values": ["mail.example.com"]}


@given(st.lists(st.tuples(st.integers(0, 7200), st.integers(0, MOST // 2)), max_size=60))
def test_no_day_has_more_than_the_limit_and_one_answer(answers: list[tuple[int, int]]) -> None:
    day, now, sent = DailyBytes(MOST), START, list[tuple[float, int]]()
    for pause, count in answers:
        hold = day.hold(now + pause)
        now = max(now + pause, 0 if hold is None else hold.until)
        assert day.hold(now) is None
        day.on_received(now, count)
        sent.append((now, count))

    assert all(sum(n for at, n in sent if last - DAY_S < at < last) < MOST for last, _ in sent)


def test_a_spent_day_is_a_hold_that_says_until_when_and_why() -> None:
    lanes = Lanes(1.0, daily_bytes=2 * MOST)
    lanes.day.on_received(START, 2 * MOST)

    hold = lanes.hold(START + 60)

    assert hold is not None
    assert (hold.until, hold.reason) == (START + DAY_S, "the day's 2 MB are used")
    assert lanes.next_send(START + 60, "any") == START + DAY_S
    assert lanes.hold(START + DAY_S) is None


def test_bytes_are_remembered_from_slice_to_slice() -> None:
    before, after = Lanes(1.0, daily_bytes=MOST), Lanes(1.0, daily_bytes=MOST)
    before.day.on_received(START - 2 * TOGETHER_S, MOST // 2)
    before.day.on_received(START, MOST // 2)

    assert after.restore(json.loads(json.dumps(before.snapshot(START))), now=50.0, age_s=3600.0)

    assert after.day.used(50.0) == MOST
    assert after.hold(50.0) is not None
    assert after.day.used(50.0 + DAY_S - 3600) == 0
    told = before.day.told(START)
    assert [used_later(told, age) for age in (0.0, DAY_S - TOGETHER_S, DAY_S)] == [MOST, MOST // 2, 0]


def test_a_provider_without_a_limit_of_bytes_has_none() -> None:
    lanes = Lanes(1.0)
    lanes.day.on_received(START, 10**12)

    assert lanes.hold(START) is None
    assert lanes.snapshot(START)["shared"]["received_ago"] == []


def limited(**fields: Any) -> Manifest:
    return manifest(settings={"host": {"title": "Server"}}, pacing={"unit": "bytes", "daily_bytes": [TOLD], **fields})


@pytest.mark.parametrize(("host", "most"), [("Mail.Example.com.", MOST), ("mail.example.org", None), (None, None)])
def test_a_limit_is_that_of_the_providers_that_it_names(host: str | None, most: int | None) -> None:
    found = limited().pacing.daily_bytes_of({"host": host})

    assert (found.most if found else None) == most


def test_a_limit_names_its_unit_and_a_setting_that_there_is() -> None:
    for pacing, settings in (
        ({"daily_bytes": [TOLD]}, {"host": {"title": "H"}}),
        ({"unit": "bytes", "daily_bytes": [TOLD]}, {}),
    ):
        with pytest.raises(ValueError, match=r"unit: bytes|unknown setting host"):
            manifest(settings=settings, pacing=pacing)


def test_a_connectors_cold_start_gives_way_to_the_owners(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = limited(cold_start_ms=1)
    assert cold_start_ms(Settings(), quick) == 1
    assert cold_start_ms(Settings(), manifest()) == 1000

    monkeypatch.setenv("PDPP_PACING_COLD_START_MS", "5000")

    assert cold_start_ms(Settings(), quick) == 5000
