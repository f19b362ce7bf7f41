"""Messages for runs do not pile up where no worker takes them."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
from celery.app.task import Context
from redis import Redis

from pdpp_worker.dispatch import dispatch
from pdpp_worker.runtime import removed_files
from pdpp_worker.settings import Settings
from pdpp_worker.store import runs
from pdpp_worker.store.runs import DueRun
from pdpp_worker.tasks import tasks
from pdpp_worker.tasks.app import app
from pdpp_worker.tasks.doorbell import TURN, notify, prepare, waiting_queues
from tests.support.scripted import Scenario, record


def tick(settings: Settings, scenario: Scenario) -> list[int]:
    """One tick of the dispatcher, minutes after the last one; returns the runs that workers were told of."""
    scenario.execute("UPDATE runs SET rung_at = least(rung_at, now() - interval '2 minutes')")
    due = dispatch(settings, scenario.db, waiting_queues())
    return [one.run_id for one in due if notify(one)]


def test_a_run_has_one_message_while_no_worker_is_there(
    scenario: Scenario, settings: Settings, redis: Redis, own_environment: None
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()

    told = [tick(settings, scenario) for _ in range(9)]

    assert told == [[run_id], *[[]] * 8]
    assert waiting_queues() == {"collect"}


def test_a_message_that_was_lost_is_sent_again(
    scenario: Scenario, settings: Settings, redis: Redis, own_environment: None
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    tick(settings, scenario)

    redis.flushall()

    assert tick(settings, scenario) == [run_id]


def test_a_message_that_was_lost_among_others_is_sent_again_in_the_end(
    scenario: Scenario, settings: Settings, redis: Redis, own_environment: None
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    tick(settings, scenario)
    scenario.execute("UPDATE runs SET rung_at = rung_at - interval '16 minutes'")

    assert tick(settings, scenario) == [run_id]


@pytest.mark.parametrize(("turn", "sent"), [(0, True), (1, False)])
def test_a_message_of_this_turn_that_gave_no_slice_is_sent_again_though_others_wait(
    scenario: Scenario, settings: Settings, redis: Redis, own_environment: None, turn: int, sent: bool
) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()
    tick(settings, scenario)

    with scenario.db.begin() as connection:
        runs.note_message_gone(connection, run_id, turn)

    assert waiting_queues() == {"collect"}
    assert [one.run_id for one in dispatch(settings, scenario.db, waiting_queues())] == [run_id] * sent


def test_a_message_says_for_which_turn_it_is(redis: Redis, scenario: Scenario, own_environment: None) -> None:
    scenario.send(record("a"))
    notify(DueRun(1, "scripted", turn=3))

    with app.connection_for_read() as connection:
        message = connection.default_channel.basic_get("collect", no_ack=True)

    assert Context(message.headers).get(TURN) == 3


def test_a_message_that_was_prepared_goes_over_a_connection_that_is_there(
    redis: Redis, scenario: Scenario, own_environment: None
) -> None:
    scenario.send(record("a"))
    prepare().join()
    before = redis.info("stats")["total_connections_received"]

    sent = notify(DueRun(1, "scripted"))

    assert sent
    assert redis.info("stats")["total_connections_received"] == before
    assert waiting_queues() == {"collect"}


def test_a_broker_that_is_away_while_a_message_is_prepared_fails_nothing(
    redis: Redis, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app.amqp.producer_pool, "acquire", Mock(side_effect=OSError("away")))

    prepare().join()


def test_a_message_for_another_turn_gives_none(scenario: Scenario) -> None:
    scenario.send(record("a"))
    run_id = scenario.queue()

    assert scenario.slice(run_id, turn=1) is None
    assert scenario.slice(run_id, turn=0) is not None


def test_what_cannot_be_removed_of_a_connection_keeps_no_run_of_another_from_its_worker(
    scenario: Scenario, redis: Redis, own_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario.send(record("a"))
    scenario.queue()
    monkeypatch.setattr(removed_files, "remove", _fail)

    with pytest.raises(RecursionError):
        tasks.dispatch()

    assert waiting_queues() == {"collect"}


def _fail(*_: object) -> None:
    raise RecursionError
