"""Which processes make the fleet."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.fleet import Fleet, plan_fleet
from pdpp_worker.local.needs import OnLoss, OnRequest
from pdpp_worker.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, web_port=0, flower_port=0)


@pytest.fixture
def fleet(settings: Settings) -> Iterator[Fleet]:
    found = plan_fleet(settings, flower=True)
    yield found
    close(found)


def close(fleet: Fleet) -> None:
    """Give the console's socket back."""
    for spec in fleet.specs:
        if isinstance(spec.need, OnRequest) and spec.need.socket is not None:
            os.close(spec.need.socket)


def commands(fleet: Fleet) -> dict[str, tuple[str, ...]]:
    return {spec.name: spec.command for spec in fleet.specs}


def needs(fleet: Fleet) -> dict[str, object]:
    return {spec.name: type(spec.need) for spec in fleet.specs if spec.need is not None}


def changed(settings: Settings, **fields: object) -> Settings:
    return settings.model_copy(update=fields)


def test_each_queue_has_a_worker_and_one_of_them_has_beat_in_it(fleet: Fleet) -> None:
    found = commands(fleet)

    assert list(found) == ["postgres", "valkey", "control", "collect", "local", "web", "flower"]
    for queue in ("control", "collect", "local"):
        assert f"--queues={queue}" in found[queue]
    assert [name for name in found if "--with-beat" in found[name]] == ["control"]


def test_what_nobody_needs_does_not_run(fleet: Fleet) -> None:
    assert needs(fleet) == {"postgres": OnLoss, "valkey": OnLoss, "local": OnRequest, "web": OnRequest}


def test_servers_of_the_owners_own_are_not_watched(settings: Settings) -> None:
    own = changed(settings, database_url=SecretStr("postgresql://h/d"))
    found = plan_fleet(own)
    close(found)

    assert "postgres" not in commands(found)


def test_the_size_of_the_pools_comes_from_the_settings(settings: Settings) -> None:
    plan = plan_fleet(changed(settings, collect_threads=7, local_processes=3))
    close(plan)
    found = commands(plan)

    assert {"--pool=threads", "--concurrency=7"} <= set(found["collect"])
    assert {"--pool=prefork", "--concurrency=3"} <= set(found["local"])


def test_flower_runs_only_where_it_is_asked_for_and_takes_a_free_port(settings: Settings, fleet: Fleet) -> None:
    silent = plan_fleet(settings)
    close(silent)

    assert "flower" not in commands(silent)
    assert fleet.flower_url is not None
    assert int(fleet.flower_url.rpartition(":")[2]) > 0


@pytest.mark.parametrize("address", ["192.0.2.1", "::", "example.org"])
def test_flower_does_not_listen_beyond_loopback_without_a_password(settings: Settings, address: str) -> None:
    with pytest.raises(ConfigurationError, match="PDPP_FLOWER_BASIC_AUTH"):
        plan_fleet(changed(settings, flower_address=address), flower=True)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_flower_may_listen_on_loopback_without_a_password(settings: Settings, address: str) -> None:
    found = plan_fleet(changed(settings, flower_address=address), flower=True)
    close(found)

    assert f"--address={address}" in commands(found)["flower"]


def test_flowers_password_is_in_no_command_line(settings: Settings) -> None:
    secret = changed(settings, flower_address="0.0.0.0", flower_basic_auth=SecretStr("me:hush"))  # noqa: S104
    found = plan_fleet(secret, flower=True)
    close(found)

    assert found.environment["FLOWER_BASIC_AUTH"] == "me:hush"
    assert "hush" not in str(found.specs)


def test_without_the_console_the_rest_of_the_fleet_runs(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)

    assert "web" not in commands(plan_fleet(settings))
