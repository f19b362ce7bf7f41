"""The Celery app of a test's process has the broker of the test, whatever it was used with before."""

from __future__ import annotations

import pytest
from redis import Redis

from pdpp_worker.settings import get_settings
from pdpp_worker.tasks.app import app
from tests.support.process_state import lead_app


def test_it_sends_to_the_broker_of_the_test(
    redis: Redis, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("PDPP_BROKER_URL", "redis://127.0.0.1:1/0")
        get_settings.cache_clear()
        lead_app()
        _ = app.amqp.producer_pool, app.pool

    lead_app()

    with app.producer_or_acquire() as producer:
        assert producer.connection.ensure_connection(max_retries=1) is not None
