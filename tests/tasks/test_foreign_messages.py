"""A foreign message is not served as kombu and Celery would: unpacked, kept for later, followed by others."""

from __future__ import annotations

import json
from typing import Any

import pytest
from celery.exceptions import InvalidTaskError
from kombu import compression, pidbox, serialization
from kombu.exceptions import DecodeError
from kombu.matcher import MatcherNotInstalled
from kombu.message import Message

from pdpp_worker.tasks import foreign_messages
from pdpp_worker.tasks.plain_request import PlainRequest

SIGNATURE = {"task": "pdpp.housekeeping", "args": [], "kwargs": {}, "options": {"queue": "collect"}}
LATER = ["9999-12-31T23:59:59+23:59", "0001-01-01T00:00:00+23:59", "2999-01-01T00:00:00", "tomorrow", 5]


@pytest.fixture(autouse=True)
def _installed(own_environment: None) -> None:
    foreign_messages.install()


def request(embed: dict[str, Any] | None = None, **headers: Any) -> PlainRequest:
    """A worker's request of a message to run the dispatcher."""
    from pdpp_worker.tasks.tasks import dispatch

    message = Message(
        body=json.dumps([[], {"abandoned": True}, embed or {}]),
        content_type="application/json",
        content_encoding="utf-8",
        headers={"task": "pdpp.dispatch", "id": "1", "lang": "py", **headers},
        accept={"application/json"},
    )
    return PlainRequest(message, app=dispatch.app, task=dispatch, utc=True)


def test_no_packed_message_is_unpacked() -> None:
    kinds = compression.encoders()

    assert len(kinds) >= 3
    for kind in kinds:
        message = Message(body=b"\x78\x9c", headers={"compression": kind}, content_type="application/json")
        assert "compressed" in str(message.errors[0][1])


def test_a_message_longer_than_any_of_the_fleet_is_not_decoded() -> None:
    crowded = "[" + "[]," * 400_000 + "[]]"

    with pytest.raises(DecodeError, match="1200004 characters"):
        serialization.loads(crowded, "application/json", "utf-8", accept={"application/json"})


def test_no_pattern_of_a_remote_command_is_searched_without_end() -> None:
    node = pidbox.Mailbox("celery").Node("control@a-host-of-a-long-name")

    with pytest.raises(MatcherNotInstalled):
        node.handle_message({"method": "ping", "pattern": ".*", "matcher": "pcre"})


@pytest.mark.parametrize("eta", LATER)
def test_a_message_for_later_is_refused(eta: Any) -> None:
    with pytest.raises(InvalidTaskError, match="no message waits"):
        request(eta=eta)


def test_a_message_is_its_task_and_arguments_whatever_else_it_asks_for() -> None:
    more = {"callbacks": [SIGNATURE], "errbacks": [SIGNATURE], "chain": [SIGNATURE], "chord": SIGNATURE}

    made = request(
        more, expires="0001-01-01T00:00:00+23:59", timelimit=[0.001, 0.001], retries=7, group="g", shadow="x"
    )

    assert made.body == ([], {"abandoned": True}, {})
    assert made.content_type is None
    assert (made.time_limits, made.expires, made.name) == ((None, None), None, "pdpp.dispatch")
    assert not made.request_dict.keys() & {"retries", "group", "callbacks", "timelimit"}
