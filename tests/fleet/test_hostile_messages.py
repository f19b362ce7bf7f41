"""Messages that nobody of the fleet has sent end no worker, and hold up nothing that is sent after them."""

from __future__ import annotations

import base64
import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from redis import Redis

from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.fleet.test_fleet import call
from tests.support.fleet import worker
from tests.support.waiting import until

PREFIX = "pdpp:"
CONTROL = f"{PREFIX}/0.celery.pidbox"


def envelope(body: Any, **changes: Any) -> dict[str, Any]:
    """A message as kombu writes it, but for these changes; its body is base64 of JSON."""
    content = base64.b64encode(json.dumps(body).encode()).decode()
    properties = {
        "correlation_id": str(uuid.uuid4()),
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": "control"},
        "priority": 0,
        "body_encoding": "base64",
        "delivery_tag": str(uuid.uuid4()),
    }
    headers = {"task": "pdpp.dispatch", "id": str(uuid.uuid4()), "lang": "py", "argsrepr": "", "kwargsrepr": ""}
    whole = {"content-encoding": "utf-8", "content-type": "application/json", "headers": headers}
    return {"body": content, **whole, "properties": properties, **changes}


GOOD = envelope([[], {}, {}])
NEVER: list[Any] = ["9999-12-31T23:59:59+23:59", "0001-01-01T00:00:00+23:59", "2999-01-01T00:00:00", 5, {}]
NO_JSON = [b"\x80\x04pickle", b"{", b"", b"nonsense", b"[" * 100_000]
NO_MESSAGE: list[Any] = [None, 5, "text", [], {}, [1, 2], {"properties": 1}, {"properties": {}}]
ODD: list[Any] = [
    {**GOOD, "body": "not base64 %%%"},
    {**GOOD, "body": 5},
    {**GOOD, "properties": {**GOOD["properties"], "body_encoding": "rot13"}},
    {**GOOD, "properties": {**GOOD["properties"], "delivery_info": None}},
    {**GOOD, "content-type": "application/x-python-serialize"},
    {**GOOD, "content-encoding": "klingon"},
    {**GOOD, "headers": None},
    {**GOOD, "headers": []},
    {**GOOD, "headers": {"task": {}, "id": []}},
    {**GOOD, "headers": {**GOOD["headers"], "eta": "tomorrow"}},
    {**GOOD, "headers": {**GOOD["headers"], "expires": "never"}},
    {**GOOD, "headers": {**GOOD["headers"], "retries": "x", "timelimit": 7}},
    *({**GOOD, "headers": {**GOOD["headers"], "eta": eta}} for eta in NEVER),
    envelope(None),
    envelope([1]),
    envelope({"args": 1}),
    envelope([5, 6, 7]),
]
ORDERS: list[Any] = [
    envelope("shutdown"),
    envelope([]),
    envelope({"method": "no_such_command", "arguments": {}}),
    envelope({"method": "ping", "arguments": 5}),
    envelope({"method": {}, "arguments": {}}),
    envelope({"method": "ping", "pattern": "(" * 50, "matcher": "pcre"}),
    envelope({"method": "ping", "pattern": "(((.+)+)+)+%", "matcher": "pcre"}),
    envelope({"method": "ping", "destination": 5}),
    envelope({"method": "ping", "reply_to": "nowhere"}),
]


def test_no_message_ends_a_worker_or_holds_up_another(settings: Settings, db: Database, tmp_path: Path) -> None:
    assert settings.broker_url is not None
    broker = Redis(unix_socket_path=urlsplit(settings.broker_url.get_secret_value()).path)
    texts = [json.dumps(one).encode() for one in (*NO_MESSAGE, *ODD)]

    with worker(settings, tmp_path) as member:
        member.wait_for("ready.")
        until(lambda: broker.publish(CONTROL, b"{") == 1, member)
        for text in (*NO_JSON, *texts, *(json.dumps(one).encode() for one in ORDERS)):
            assert broker.publish(CONTROL, text) <= 1
        for queue in ("control", "collect", "local"):
            broker.lpush(PREFIX + queue, *NO_JSON, *texts)
        call(settings, "pdpp.run", '{"connection": "nobody"}')

        member.wait_for("There is no connection named 'nobody'")
        assert member.poll() is None
        assert "ready." in member.log
        assert member.log.count("ready.") == 1
    broker.close()
