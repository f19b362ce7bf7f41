"""A setting that means nothing is refused by its name, before anything starts."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pdpp_worker.endpoints import resolve
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import get_settings


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PDPP_LOG_LEVEL", "LOUD"),
        ("PDPP_LEASE_S", "inf"),
        ("PDPP_SLICE_S", "nan"),
        ("PDPP_BATCH_S", "0"),
        ("PDPP_PACING_COLD_START_MS", "inf"),
    ],
)
def test_a_value_that_means_nothing_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises(ConfigurationError, match=name):
        get_settings()


def test_a_level_may_be_written_in_small_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_LOG_LEVEL", "debug")

    assert get_settings().log_level == "DEBUG"


def test_a_broker_that_celery_does_not_know_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_DATABASE_URL", "postgresql://nowhere.example/x")
    monkeypatch.setenv("PDPP_REDIS_URL", "redis://nowhere.example/0")
    monkeypatch.setenv("PDPP_BROKER_URL", "unix:///broker.sock")

    with pytest.raises(ConfigurationError, match="PDPP_BROKER_URL must start with one of"):
        resolve(get_settings())
