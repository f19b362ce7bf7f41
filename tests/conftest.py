"""Servers for the whole suite, and a migrated database for each test that asks for one."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest
from pydantic import SecretStr
from redis import Redis

from pdpp_worker.local.embedded import EmbeddedServers
from pdpp_worker.pacing.bucket import connect
from pdpp_worker.settings import Settings, get_settings
from pdpp_worker.store.engine import Database
from tests.support import border
from tests.support.databases import Databases
from tests.support.fleet import environment
from tests.support.order import dealt
from tests.support.process_state import forget, lead_app
from tests.support.servers import servers

__all__ = ["servers"]


def pytest_configure() -> None:
    """Let programs that tests start heed Ctrl-C, also where the suite was started in the background, which does not."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None]:
    """Tell the tests that need a server or a process from those that do not, and deal them out to the processes."""
    border.mark(items)
    yield
    if processes := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        items[:] = dealt(items, int(processes))


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name bytes by their number: the same ones may hold the time at which they were packed."""
    return f"{argname} of {len(val)} bytes" if isinstance(val, bytes) else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Hold the border between them."""
    return (yield from border.watch(item))


# A loaded machine is no failure of a property. The same code is tried with the same examples, so that what fails is
# what was changed; `--hypothesis-profile=explore` looks for others.
hypothesis.settings.register_profile("suite", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None, derandomize=False)
# `long` gives the stateful tests hours, for a machine that has nothing else to do.
hypothesis.settings.register_profile(
    "long", deadline=None, derandomize=False, max_examples=300, stateful_step_count=60, print_blob=True
)
hypothesis.settings.load_profile("suite")


@pytest.fixture(autouse=True)
def _nothing_of_the_process_is_handed_on() -> Iterator[None]:
    """Settings and logging of a test end with it."""
    yield
    forget()


@pytest.fixture(scope="session")
def databases(servers: EmbeddedServers) -> Iterator[Databases]:
    """Migrated databases, lent to tests that need one of their own."""
    pool = Databases(servers)
    yield pool
    pool.close()


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """The URL of an empty, migrated database of this test's own."""
    with databases.lent() as url:
        yield url


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
    """These settings for everything in this process that reads them from the environment, and for the Celery app."""
    for name, value in environment(settings).items():
        if name.startswith("PDPP_"):
            monkeypatch.setenv(name, value)
    get_settings.cache_clear()
    lead_app()
    yield
    get_settings.cache_clear()
