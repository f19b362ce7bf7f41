"""Data directories for the tests of the embedded servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pdpp_worker.local.embedded import orphans
from pdpp_worker.local.embedded.postgres import Postgres
from pdpp_worker.local.embedded.server import Server
from pdpp_worker.local.embedded.valkey import Valkey
from tests.support.servers import temporary_data_dir, wait_until_stopped


@pytest.fixture(scope="session")
def shared_data_dir() -> Iterator[Path]:
    with temporary_data_dir() as data_dir:
        yield data_dir


@pytest.fixture
def data_dir(shared_data_dir: Path) -> Iterator[Path]:
    """A data directory in which no server runs; setting up PostgreSQL takes a while, so the tests share it."""
    yield shared_data_dir
    for home in shared_data_dir.glob("embedded/*"):
        wait_until_stopped(home)


@pytest.fixture
def postgres(data_dir: Path) -> Postgres:
    return Postgres(data_dir)


@pytest.fixture(params=[Postgres, Valkey], ids=["postgres", "valkey"])
def server(request: pytest.FixtureRequest, data_dir: Path) -> Server:
    kind: type[Server] = request.param
    return kind(data_dir)


def processes(server: Server) -> list[psutil.Process]:
    return orphans.running_in(server.data, server.program_name)


def main_process(server: Server) -> psutil.Process:
    (found,) = orphans.main_of(processes(server))
    return found


def supervisors(server: Server) -> list[psutil.Process]:
    arguments = ["pdpp_worker.local.embedded.server_supervisor", server.name, str(server.home.parent.parent)]
    return [p for p in psutil.process_iter(["cmdline"]) if (p.info["cmdline"] or [])[-3:] == arguments]
