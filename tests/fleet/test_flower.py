"""Flower answers under its own names alone, and to those who know the password."""

from __future__ import annotations

import socket
from pathlib import Path

import httpx
import pytest

from pdpp_worker.settings import Settings
from pdpp_worker.tasks.flower_guard import is_own_host
from tests.support.fleet import celery
from tests.support.waiting import until

PASSWORD = ("ada", "hush-hush")


def free_port() -> int:
    """A port of loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.process
def test_a_foreign_host_and_a_stranger_are_refused_and_the_metrics_are_no_exception(
    settings: Settings, tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    arguments = ("flower", "--address=127.0.0.1", f"--port={url.rpartition(':')[2]}")

    def status(path: str, host: str | None = None, auth: tuple[str, str] | None = PASSWORD) -> int:
        headers = {} if host is None else {"Host": host}
        return httpx.get(f"{url}{path}", headers=headers, auth=auth).status_code

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0

    with celery(settings, tmp_path, *arguments, FLOWER_BASIC_AUTH=":".join(PASSWORD)) as member:
        until(listens, member)

        assert [status(path, "evil.example") for path in ("/", "/metrics", "/healthcheck", "/static/x")] == [421] * 4
        assert [status(path, auth=None) for path in ("/", "/metrics")] == [401, 401]
        assert [status(path) for path in ("/metrics", "/healthcheck")] == [200, 200]


@pytest.mark.parametrize(
    ("host", "is_own"),
    [
        ("127.0.0.1:5555", True),
        ("[::1]:5555", True),
        ("192.168.1.7:5555", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("fleet.lan:5555", True),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[::1", False),
    ],
)
def test_an_address_or_a_name_of_its_own_is_needed(host: str, is_own: bool) -> None:
    assert is_own_host(host, frozenset({"localhost", "fleet.lan"})) is is_own
