"""The same journey with other servers: collect, lose a worker, collect what changed, and hold exactly the truth.

`make matrix` runs it and says which servers it did not find; `.ci/run` does not.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from kombu.connection import Connection
from redis.exceptions import ConnectionError as RedisConnectionError

from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.tasks.broker import broker_settings
from tests.chaos.episode import come_to_rest
from tests.chaos.notes import install
from tests.chaos.proxy import Proxy
from tests.chaos.servers import PostgresProcess, ValkeyProcess
from tests.chaos.world import Urls, World, settings_for, watched
from tests.matrix.interpreters import interpreter
from tests.matrix.others import Certificates, Postgres15, Redis7, pgbouncer, rabbitmq, redis_with_tls, sentinels
from tests.support.servers import temporary_data_dir
from tests.support.waiting import until

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif("PDPP_MATRIX" not in os.environ, reason="takes servers from the machine: make matrix"),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "own"))
    get_settings.cache_clear()
    install(tmp_path / "own")
    with temporary_data_dir() as directory:
        yield directory
    get_settings.cache_clear()


@contextmanager
def running(postgres: PostgresProcess, redis: ValkeyProcess) -> Iterator[None]:
    with ExitStack() as stack:
        for server in (postgres, redis):
            stack.callback(server.kill)
            server.start()
        yield


@contextmanager
def world_of(postgres: PostgresProcess, redis: ValkeyProcess, urls: Urls, directory: Path) -> Iterator[World]:
    with Proxy(postgres.port) as proxy:
        world = World(postgres, redis, proxy, settings_for(urls, directory), directory, None)
        with watched(world):
            yield world


def travel(world: World) -> list[str]:
    """The journey; returns what was violated."""
    account = world.add_account("journey", 80, 0.02)
    world.make_whole()
    until(lambda: world.rows("SELECT 1 FROM records LIMIT 1"), *world.workers, *world.beats)
    world.kill(world.at_work(random.Random(1)))
    notes = world.notes[account]
    notes.put("note-900", *notes.keys[:10])
    return come_to_rest(world)


@pytest.mark.parametrize("version", [15, 18])
@pytest.mark.parametrize("kind", ["redis 7", "valkey 9"])
def test_postgresql_and_redis(home: Path, tmp_path: Path, version: int, kind: str) -> None:
    postgres = PostgresProcess(home, Postgres15(home) if version == 15 else None)
    redis = ValkeyProcess(home, Redis7(home) if kind == "redis 7" else None)
    urls = Urls(postgres.url, redis.redis_url, redis.broker_url)

    with running(postgres, redis), world_of(postgres, redis, urls, tmp_path) as world:
        assert travel(world) == [], world.logs()


@pytest.mark.parametrize("options", [{}, {"ignore_startup_parameters": "options"}], ids=["refuses", "ignores"])
def test_pgbouncer_in_transaction_mode(home: Path, tmp_path: Path, options: dict[str, str]) -> None:
    postgres, redis = PostgresProcess(home), ValkeyProcess(home)

    with running(postgres, redis), pgbouncer(postgres, tmp_path, **options) as url:
        urls = Urls(url, redis.redis_url, redis.broker_url)
        with world_of(postgres, redis, urls, tmp_path) as world:
            assert travel(world) == [], world.logs()


def test_rabbitmq(home: Path, tmp_path: Path) -> None:
    postgres, redis = PostgresProcess(home), ValkeyProcess(home)

    with running(postgres, redis), rabbitmq(tmp_path) as broker:
        urls = Urls(postgres.url, redis.redis_url, broker)
        with world_of(postgres, redis, urls, tmp_path) as world:
            assert travel(world) == [], world.logs()


def test_sentinel_with_a_fail_over(home: Path, tmp_path: Path) -> None:
    postgres, redis = PostgresProcess(home), ValkeyProcess(home)

    with running(postgres, redis), sentinels(home) as (pacing, broker, master):
        urls = Urls(postgres.url, pacing, broker)
        with world_of(postgres, redis, urls, tmp_path) as world:
            account = world.add_account("fail-over", 80, 0.02)
            world.make_whole()
            until(lambda: world.rows("SELECT 1 FROM records LIMIT 1"), *world.workers, *world.beats)
            master.kill()
            world.notes[account].put("note-900")
            assert come_to_rest(world) == [], world.logs()


def test_tls_with_an_authority_of_ones_own(home: Path, tmp_path: Path) -> None:
    postgres, redis = PostgresProcess(home), ValkeyProcess(home)
    certificates = Certificates(tmp_path / "certificates")

    with running(postgres, redis), redis_with_tls(tmp_path, certificates) as url:
        known = f"ssl_ca_certs={certificates.authority}"
        urls = Urls(postgres.url, f"{url}/1?{known}", f"{url}/0?{known}")
        with world_of(postgres, redis, urls, tmp_path) as world:
            assert travel(world) == [], world.logs()


def test_a_broker_with_a_certificate_of_a_stranger_is_not_used(tmp_path: Path) -> None:
    own, strangers = Certificates(tmp_path / "own"), Certificates(tmp_path / "strangers")

    with redis_with_tls(tmp_path, strangers) as url:
        found = broker_settings(Settings(), f"{url}/0?ssl_ca_certs={own.authority}")
        broker = Connection(found["broker_url"], ssl=found["broker_use_ssl"], transport_options={"max_retries": 0})
        with pytest.raises(RedisConnectionError, match="certificate verify failed"):
            broker.connect()


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
@pytest.mark.parametrize("celery", ["5.6", "5.7"])
def test_python_and_celery(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python: str, celery: str
) -> None:
    monkeypatch.setattr(sys, "executable", str(interpreter(python, celery, tmp_path)))
    postgres, redis = PostgresProcess(home), ValkeyProcess(home)
    urls = Urls(postgres.url, redis.redis_url, redis.broker_url)

    with running(postgres, redis), world_of(postgres, redis, urls, tmp_path) as world:
        assert travel(world) == [], world.logs()
