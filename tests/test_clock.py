"""Steps of a machine's time move nothing that has begun."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

import pytest

from beat_schedule import beat_schedule
from pdpp_worker.settings import Settings


def test_beat_ticks_by_the_monotonic_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monotonic = SimpleNamespace(now=100.0)
    monkeypatch.setattr("pdpp_worker.clock.time", SimpleNamespace(monotonic=lambda: monotonic.now))
    entry = beat_schedule(Settings(dispatch_every_s=30))["pdpp.dispatch"]["schedule"]
    began = entry.now()

    assert entry.is_due(began) == (False, 30)
    monotonic.now += 30
    assert entry.now() - began == timedelta(seconds=30)
    assert entry.is_due(began) == (True, 30)
