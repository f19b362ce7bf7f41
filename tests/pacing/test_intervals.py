"""Which ceiling holds, and how fast gaps are asked for."""

from __future__ import annotations

import pytest

from pdpp_worker.pacing.intervals import ceiling, paced_interval_ms, recovery_interval_ms
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.settings import Settings
from tests.support.scripted import manifest

VARIABLE = "PDPP_SCRIPTED_PACING_MIN_INTERVAL_MS"


@pytest.fixture
def slow() -> Manifest:
    """A connector that asks for gaps once a minute at most."""
    return manifest(recovery={"supports_targeted_resource_fetch": True, "targeted_fetch_rate_hint": "1/min"})


def test_the_connections_own_ceiling_comes_first(monkeypatch: pytest.MonkeyPatch, slow: Manifest) -> None:
    monkeypatch.setenv(VARIABLE, "300")

    assert ceiling(Settings(), "scripted", slow, 200.0) == (200.0, "this connection")


def test_the_environment_comes_before_the_manifest(monkeypatch: pytest.MonkeyPatch, slow: Manifest) -> None:
    monkeypatch.setenv(VARIABLE, "300")

    assert ceiling(Settings(), "scripted", slow, None) == (300.0, VARIABLE)


def test_the_manifest_holds_where_nobody_sets_a_ceiling(slow: Manifest) -> None:
    assert ceiling(Settings(), "scripted", slow, None) == (slow.pacing.min_interval_ms, "the connector's default")


def test_a_connector_that_is_not_installed_has_no_known_ceiling() -> None:
    assert ceiling(Settings(), "scripted", None, None).min_interval_ms is None


@pytest.mark.parametrize(("learned", "expected"), [(400.0, 1000.0), (4000.0, 4000.0)])
def test_no_request_goes_out_faster_than_the_ceiling(learned: float, expected: float) -> None:
    assert paced_interval_ms(learned, 1000.0) == expected


@pytest.mark.parametrize(("learned", "expected"), [(400.0, 60_000.0), (90_000.0, 90_000.0)])
def test_gaps_are_asked_for_no_faster_than_the_hint(slow: Manifest, learned: float, expected: float) -> None:
    assert recovery_interval_ms(learned, 1000.0, slow) == expected
