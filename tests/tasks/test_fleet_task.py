"""An outage of the broker is said once, and nothing else is kept back."""

from __future__ import annotations

import logging

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from beat_schedule import beat_schedule
from pdpp_worker.settings import Settings
from pdpp_worker.tasks.fleet_task import OncePerOutage


def record(logger: str, error: BaseException, level: int = logging.ERROR) -> logging.LogRecord:
    """The line of a logger about an error."""
    return logging.LogRecord(logger, level, __file__, 1, "it failed: %s", (error,), (type(error), error, None))


def raised_from(error: Exception, cause: Exception) -> BaseException:
    """An error that was raised while another one was handled."""
    try:
        raise error from cause
    except type(error) as found:
        return found


@pytest.mark.parametrize("logger", ["celery.beat", "celery.worker.consumer.consumer", "kombu.mixins"])
def test_failures_of_the_broker_are_left_out(own_environment: None, logger: str) -> None:
    assert not OncePerOutage().filter(record(logger, RedisAway("refused")))


def test_a_task_that_fails_on_a_file_is_logged(own_environment: None) -> None:
    assert OncePerOutage().filter(record("celery.app.trace", FileNotFoundError("letter.pdf")))


def test_another_failure_of_beat_is_logged(own_environment: None) -> None:
    assert OncePerOutage().filter(record("celery.beat", ValueError("an odd schedule")))


def test_what_fails_because_the_broker_failed_is_left_out(own_environment: None) -> None:
    error = raised_from(AttributeError("no channel"), RedisAway("refused"))

    assert not OncePerOutage().filter(record("celery.bootsteps", error))


def test_ticks_do_not_pile_up_where_no_worker_hears_them(redis: Redis, own_environment: None) -> None:
    from pdpp_worker.tasks.tasks import dispatch

    sent = [dispatch.apply_async(most_waiting=2) for _ in range(4)]

    assert [one is not None for one in sent] == [True, True, False, False]


def test_a_tick_has_no_age_by_the_clock_of_another_machine(settings: Settings) -> None:
    assert not any("expires" in entry["options"] for entry in beat_schedule(settings).values())
