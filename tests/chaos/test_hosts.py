"""Two hosts, one of which is cut off in the middle of a transaction; `make chaos` runs it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from pdpp_worker.settings import get_settings
from tests.chaos.episode import come_to_rest
from tests.chaos.hosts import Host, require_hosts
from tests.chaos.notes import install
from tests.chaos.proxy import Proxy
from tests.chaos.servers import PostgresProcess, ValkeyProcess
from tests.chaos.world import Urls, World, settings_for, watched
from tests.support.servers import temporary_data_dir
from tests.support.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_CHAOS_SEEDS" not in os.environ, reason="takes a minute: make chaos"),
]

ACCOUNTS, NOTES, PACE_S = 4, 400, 0.02
LEASE_S, BOUND_S = 10.0, 15.0
# Lets the next batch of one connection last for a while, inside its transaction.
SLOW = """
    CREATE TABLE chaos.slow (connection_id bigint);
    CREATE FUNCTION chaos.linger() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM chaos.slow WHERE connection_id = NEW.connection_id) THEN PERFORM pg_sleep(1); END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_linger AFTER INSERT ON records FOR EACH ROW EXECUTE FUNCTION chaos.linger();
"""
AT_WORK = "SELECT connection_id, token, holder FROM leases WHERE expires_at > clock_timestamp() ORDER BY connection_id"
LINGERS = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND application_name = %s"
TAKEN = "SELECT 1 FROM leases WHERE connection_id = %s AND token > %s AND holder <> %s"
HELD = "SELECT count(*) AS held FROM records WHERE connection_id = ANY(%s)"


@pytest.fixture
def hosts() -> Iterator[list[Host]]:
    require_hosts()
    with ExitStack() as stack:
        yield [stack.enter_context(Host()) for _ in range(2)]


@pytest.fixture
def world(hosts: list[Host], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Servers that both hosts reach over their cables."""
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "own"))
    get_settings.cache_clear()
    install(tmp_path / "own")
    front = hosts[0].here
    with temporary_data_dir() as home, ExitStack() as stack:
        postgres, valkey = PostgresProcess(home), ValkeyProcess(home)
        postgres.admit(front, "10.0.0.0/8")
        valkey.listens.append(front)
        for server in (postgres, valkey):
            stack.callback(server.kill)
            server.start()
        url = postgres.url_at(postgres.port, front)
        redis = f"redis://{front}:{valkey.port}"
        settings = settings_for(Urls(url, f"{redis}/1", f"{redis}/0"), tmp_path)
        proxy = stack.enter_context(Proxy(postgres.port))
        settings = settings.model_copy(update={"lease_s": LEASE_S})
        made = World(postgres, valkey, proxy, settings, tmp_path, None, front)
        yield stack.enter_context(watched(made))
    get_settings.cache_clear()


def test_a_host_that_is_cut_off_in_mid_transaction_is_taken_over_and_others_do_not_wait(
    world: World, hosts: list[Host]
) -> None:
    for number in range(ACCOUNTS):
        world.add_account(f"account-{number}", NOTES, PACE_S)
    by_holder = {world.start_worker(within=host.prefix).process.pid: host for host in hosts}
    world.start_beat()
    world.rows(SLOW)
    leases = until(lambda: _of_two_holders(world), *world.workers, *world.beats)
    victim, cut = leases[0], leases[0]["holder"]
    elsewhere = [one["connection_id"] for one in leases if one["holder"] != cut]

    world.rows("INSERT INTO chaos.slow VALUES (%s)", victim["connection_id"])
    until(lambda: world.rows(LINGERS, f"pdpp-worker {cut}"), *world.workers)
    by_holder[int(cut.rpartition(":")[2])].pull()
    began, held = time.monotonic(), world.rows(HELD, elsewhere)[0]["held"]
    world.rows("DELETE FROM chaos.slow")
    until(lambda: world.rows(HELD, elsewhere)[0]["held"] > held)
    assert not world.rows(TAKEN, *_of(victim)), "the others waited for it"
    until(lambda: world.rows(TAKEN, *_of(victim)))
    took_s = time.monotonic() - began
    by_holder[int(cut.rpartition(":")[2])].plug()

    assert took_s <= BOUND_S, world.logs()
    assert come_to_rest(world) == [], world.logs()


def _of_two_holders(world: World) -> list[dict[str, Any]]:
    leases = world.rows(AT_WORK)
    return leases if len({one["holder"] for one in leases}) == 2 else []


def _of(lease: dict[str, Any]) -> tuple[Any, ...]:
    return lease["connection_id"], lease["token"], lease["holder"]
