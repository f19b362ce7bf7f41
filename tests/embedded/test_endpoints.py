"""Which server the program uses for what."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from kombu.connection import Connection
from pydantic import SecretStr
from sqlalchemy import create_engine, text

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local import endpoints
from pdpp_worker.local.embedded import revive
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.valkey import Valkey
from pdpp_worker.settings import Settings
from tests.embedded.conftest import supervisors
from tests.support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.process  # starts processes itself


@pytest.fixture(autouse=True)
def released(data_dir: Path) -> Iterator[None]:
    yield
    endpoints.release()


def resolved(**urls: str) -> dict[str, str]:
    settings = Settings.model_validate({"data_dir": Path("/nonexistent"), **urls})
    found = endpoints.resolve(settings)
    return {
        "database": found.database_url.get_secret_value(),
        "redis": found.redis_url.get_secret_value(),
        "broker": found.broker_url.get_secret_value(),
    }


def test_the_embedded_servers_serve_every_library_that_uses_them(data_dir: Path) -> None:
    found = endpoints.resolve(Settings(data_dir=data_dir))

    engine = create_engine(found.database_url.get_secret_value())
    with engine.connect() as database:
        assert database.execute(text("select current_database()")).scalar_one() == "pdpp"
    engine.dispose()
    with redis.Redis.from_url(found.redis_url.get_secret_value()) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        client.set("paced", 1)
        connection: Any = Connection
        with connection(found.broker_url.get_secret_value()) as broker, broker.SimpleQueue("doorbell") as queue:
            queue.put({"ring": 1})
            assert queue.get(timeout=PATIENCE_S).payload == {"ring": 1}
        assert client.keys() == [b"paced"]


def test_the_answer_is_kept(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir)

    assert endpoints.resolve(settings) is endpoints.resolve(settings)


def test_only_the_server_that_is_needed_is_started(data_dir: Path) -> None:
    endpoints.resolve(Settings(data_dir=data_dir, database_url=SecretStr("postgresql://h/d")))

    assert not supervisors(Postgres(data_dir))
    assert supervisors(Valkey(data_dir))


def test_what_died_can_be_started_again_under_the_same_url(data_dir: Path) -> None:
    settings = Settings(data_dir=data_dir, redis_url=SecretStr("redis://h"))
    before = endpoints.resolve(settings)
    (supervisor,) = supervisors(Postgres(data_dir))
    supervisor.kill()
    until(lambda: not supervisors(Postgres(data_dir)))

    revive.main("postgres", str(data_dir))

    url = before.database_url.get_secret_value().replace("+psycopg", "")
    psycopg.connect(url).close()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_the_database_is_always_reached_through_psycopg(scheme: str) -> None:
    found = resolved(database_url=f"{scheme}://me:pw@db:5433/x?sslmode=require", redis_url="redis://h")

    assert found["database"] == "postgresql+psycopg://me:pw@db:5433/x?sslmode=require"


@pytest.mark.parametrize(
    ("pacing", "broker"),
    [
        ("redis://h", "redis://h/1"),
        ("redis://u:p@h:7000/0", "redis://u:p@h:7000/1"),
        ("redis://h/1", "redis://h/0"),
        ("redis://h?db=3", "redis://h/1"),
        ("rediss://h?ssl_cert_reqs=none", "rediss://h/1?ssl_cert_reqs=none"),
        ("unix:///run/r.sock", "redis+socket:///run/r.sock?virtual_host=1"),
        ("unix://:p@/run/r.sock?db=1", "redis+socket://:p@/run/r.sock?virtual_host=0"),
    ],
)
def test_the_broker_is_another_database_of_the_pacing_server(pacing: str, broker: str) -> None:
    assert resolved(database_url="postgres://h/d", redis_url=pacing)["broker"] == broker


def test_a_broker_of_its_own_is_taken_as_it_is() -> None:
    found = resolved(database_url="postgres://h/d", redis_url="redis://h", broker_url="amqp://b")

    assert found["broker"] == "amqp://b"


@pytest.mark.parametrize(
    ("urls", "variable"),
    [
        ({"database_url": "mysql://me:hush@h/d"}, "PDPP_DATABASE_URL"),
        ({"database_url": "postgres://h/d", "redis_url": "me:hush@h"}, "PDPP_REDIS_URL"),
    ],
)
def test_a_url_of_an_unknown_form_is_refused_without_being_repeated(urls: dict[str, str], variable: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{variable} must start with one of") as refusal:
        resolved(**urls)

    assert "hush" not in str(refusal.value)
