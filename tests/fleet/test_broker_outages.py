"""A broker that falls silent under established connections: what the fleet says, and that it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from pydantic import SecretStr

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.settings import Settings
from pdpp_worker.store.engine import Database
from tests.support.fleet import Member, beat, worker
from tests.support.swallowing import SwallowingProxy
from tests.support.waiting import until

AWAY, BACK, TICK = "the broker cannot be reached", "the broker answers again", "Task pdpp.dispatch"
SOON = {"PDPP_BROKER_TIMEOUT_S": "1"}


@pytest.fixture
def proxy(servers: EmbeddedServers) -> Iterator[SwallowingProxy]:
    with SwallowingProxy(Path(urlsplit(servers.broker_url).path)) as proxy:
        yield proxy


@pytest.fixture
def far(settings: Settings, proxy: SwallowingProxy) -> Settings:
    """The settings of a fleet whose way to the broker can be cut."""
    return settings.model_copy(update={"broker_url": SecretStr(f"redis://127.0.0.1:{proxy.port}/7")})


def ticks(member: Member) -> int:
    """How many ticks of beat a worker has heard."""
    return member.log.count(TICK)


def test_an_outage_is_told_once_when_it_begins_and_once_when_it_is_over(
    far: Settings, db: Database, proxy: SwallowingProxy, tmp_path: Path
) -> None:
    with worker(far, tmp_path, **SOON) as member, beat(far, tmp_path, **SOON) as clock:
        both = member, clock
        until(lambda: ticks(member) > 2, *both)
        proxy.swallow()
        until(lambda: all(AWAY in one.log for one in both), *both)
        proxy.forward()
        until(lambda: all(BACK in one.log for one in both), *both)
        heard = ticks(member)
        until(lambda: ticks(member) > heard, *both)

    assert [(one.log.count(AWAY), one.log.count(BACK)) for one in both] == [(1, 1), (1, 1)]
    assert not any("Traceback" in one.log for one in both)


def test_a_worker_that_loses_the_broker_while_it_starts_waits_for_it(
    far: Settings, db: Database, proxy: SwallowingProxy, tmp_path: Path
) -> None:
    with worker(far, tmp_path, **SOON) as member:
        member.wait_for("searching for neighbors")
        proxy.swallow()
        member.wait_for(AWAY)
        proxy.forward()
        member.wait_for("ready.")

    assert "Traceback" not in member.log
