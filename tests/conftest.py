"""Servers for the whole suite, and a migrated database for each test that asks for one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import hypothesis
import pytest
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import Engine, create_engine, make_url, text

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store import migrate
from pdpp_worker.store.engine import Database
from tests.support.fleet import environment
from tests.support.servers import servers

__all__ = ["servers"]

# A loaded machine is no failure of a property. The same code is tried with the same examples, so that what fails is
# what was changed; `--hypothesis-profile=explore` looks for others.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, derandomize=False)
hypothesis.settings.load_profile("suite")

_numbers = itertools.count()


@pytest.fixture(scope="session")
def create_database(servers: EmbeddedServers) -> Iterator[Callable[[], str]]:
    """Makes empty, migrated databases: copies of one template."""
    admin = create_engine(servers.database_url, isolation_level="AUTOCOMMIT")
    _need_not_survive_a_power_cut(admin)
    template = _fresh(admin, servers, "template_pdpp", "template0")
    db = Database(template)
    migrate.upgrade(db)
    db.close()
    yield lambda: _fresh(admin, servers, f"test_{next(_numbers)}", "template_pdpp")
    admin.dispose()


@pytest.fixture
def database_url(create_database: Callable[[], str], servers: EmbeddedServers) -> Iterator[str]:
    """The URL of a migrated database of this test's own."""
    url = create_database()
    yield url
    admin = create_engine(servers.database_url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f'DROP DATABASE "{make_url(url).database}" WITH (FORCE)'))
    admin.dispose()


@pytest.fixture
def db(database_url: str) -> Iterator[Database]:
    """A migrated database of this test's own."""
    database = Database(database_url)
    yield database
    database.close()


@pytest.fixture
def redis(servers: EmbeddedServers) -> Iterator[Redis]:
    """An empty pacing server."""
    client = connect(servers.redis_url, 5.0)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def settings(database_url: str, servers: EmbeddedServers, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings that point at this test's servers, with periods short enough for a test."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("data"),
        database_url=SecretStr(database_url),
        redis_url=SecretStr(servers.redis_url),
        broker_url=SecretStr(servers.broker_url),
        lease_s=3.0,
        dispatch_every_s=0.5,
        sweep_every_s=0.5,
        gap_backoff_s=0.2,
        pacing_cold_start_ms=1.0,
        batch_s=0.2,
    )


@pytest.fixture
def own_environment(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """These settings for everything in this process that reads them from the environment, as the Celery app does.

    The app keeps its broker for as long as the process lives: it is the same for every test.
    """
    for name, value in environment(settings).items():
        if name.startswith("PDPP_"):
            monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


def _need_not_survive_a_power_cut(admin: Engine) -> None:
    """No test of this server cuts the power, and the disk is what most tests would wait for."""
    with admin.connect() as connection:
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        connection.execute(text("SELECT pg_reload_conf()"))


def _fresh(admin: Engine, servers: EmbeddedServers, name: str, template: str) -> str:
    with admin.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}" TEMPLATE "{template}"'))
    base, _, query = servers.database_url.partition("?")
    return f"{base.rpartition('/')[0]}/{name}?{query}"
