"""Which processes make the fleet."""

from __future__ import annotations

import importlib.util

import pytest
from pydantic import SecretStr

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.local.fleet import Fleet, fleet_processes
from pdpp_worker.settings import Settings


def commands(settings: Settings) -> dict[str, tuple[str, ...]]:
    return {process.name: process.command for process in fleet_processes(settings)}


def test_each_queue_has_a_worker_and_there_is_one_beat() -> None:
    found = commands(Settings())

    assert list(found) == ["control", "collect", "local", "beat", "web", "flower"]
    for queue in ("control", "collect", "local"):
        assert f"--queues={queue}" in found[queue]


def test_the_size_of_the_pools_comes_from_the_settings() -> None:
    found = commands(Settings(collect_threads=7, local_processes=3))

    assert {"--pool=threads", "--concurrency=7"} <= set(found["collect"])
    assert {"--pool=prefork", "--concurrency=3"} <= set(found["local"])


def test_flower_takes_a_free_port_when_asked_to() -> None:
    (port,) = (a for a in commands(Settings(flower_port=0))["flower"] if a.startswith("--port="))

    assert int(port.removeprefix("--port=")) > 0


@pytest.mark.parametrize("address", ["192.0.2.1", "::", "example.org"])
def test_flower_does_not_listen_beyond_loopback_without_a_password(address: str) -> None:
    with pytest.raises(ConfigurationError, match="PDPP_FLOWER_BASIC_AUTH"):
        fleet_processes(Settings(flower_address=address))


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_flower_may_listen_on_loopback_without_a_password(address: str) -> None:
    assert f"--address={address}" in commands(Settings(flower_address=address))["flower"]


def test_flowers_password_is_in_no_command_line() -> None:
    settings = Settings(flower_address="0.0.0.0", flower_basic_auth=SecretStr("me:hush"))  # noqa: S104
    fleet = Fleet(settings)

    assert fleet._environment["FLOWER_BASIC_AUTH"] == "me:hush"
    assert "hush" not in str(fleet_processes(settings))


def test_without_flower_the_rest_of_the_fleet_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", {}.get)

    assert "flower" not in commands(Settings())
