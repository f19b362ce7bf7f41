"""Real servers for the tests: directories that they can live in, and one pair for the whole suite."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdpp_worker.local import locks
from pdpp_worker.local.embedded import EmbeddedServers, acquire
from pdpp_worker.local.embedded.server import SUPERVISOR_LOCK
from pdpp_worker.settings import Settings
from tests.support.waiting import PATIENCE_S


@contextmanager
def temporary_data_dir() -> Iterator[Path]:
    """A data directory that embedded servers can use, removed once they are gone.

    pytest's own temporary directories will not do when root runs the tests: the account of the servers cannot enter.
    """
    with tempfile.TemporaryDirectory(prefix="pdpp-test-") as directory:
        Path(directory).chmod(0o711)
        data_dir = Path(directory) / "data"
        try:
            yield data_dir
        finally:
            for home in (*data_dir.glob("embedded/*"), *data_dir.glob("demo/embedded/*")):
                wait_until_stopped(home)


def wait_until_stopped(home: Path) -> None:
    """Wait until the supervisor of a server, whose directory is `home`, has ended."""
    os.close(locks.lock(home / SUPERVISOR_LOCK, timeout_s=PATIENCE_S))


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """PostgreSQL and Valkey, running for the whole suite; import this name in a conftest to use it."""
    with temporary_data_dir() as data_dir, acquire(Settings(data_dir=data_dir)) as running:
        yield running
        running.close()
