"""An outage of the broker is said once, and nothing else is kept back."""

from __future__ import annotations

import logging

import pytest
from redis.exceptions import ConnectionError as RedisAway

from pdpp_worker.tasks.fleet_task import OncePerOutage


def record(logger: str, error: BaseException, level: int = logging.ERROR) -> logging.LogRecord:
    """What a logger says of an error."""
    return logging.LogRecord(logger, level, __file__, 1, "it failed: %s", (error,), (type(error), error, None))


@pytest.mark.parametrize("logger", ["celery.beat", "celery.worker.consumer.consumer", "kombu.mixins"])
def test_failures_of_the_broker_are_left_out(own_environment: None, logger: str) -> None:
    assert not OncePerOutage().filter(record(logger, RedisAway("refused")))


def test_a_task_that_fails_on_a_file_is_logged(own_environment: None) -> None:
    assert OncePerOutage().filter(record("celery.app.trace", FileNotFoundError("letter.pdf")))


def test_another_failure_of_beat_is_logged(own_environment: None) -> None:
    assert OncePerOutage().filter(record("celery.beat", ValueError("an odd schedule")))
