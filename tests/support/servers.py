"""Real servers for the tests: directories that they can live in, and one pair for the whole suite."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pdpp_worker.embedded import EmbeddedServers, acquire, locks
from pdpp_worker.settings import Settings

_STOP_S = 60.0


def until(condition: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Wait for a condition to hold; fails the test after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail(f"Still not so after {timeout_s:.0f} s: {condition}")
        time.sleep(0.02)


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
            for home in data_dir.glob("embedded/*"):
                wait_until_stopped(home)


def wait_until_stopped(home: Path) -> None:
    """Wait until the guardian of a server, whose directory is `home`, has ended."""
    os.close(locks.lock(home / "guardian.lock", timeout_s=_STOP_S))


@pytest.fixture(scope="session")
def servers() -> Iterator[EmbeddedServers]:
    """PostgreSQL and Valkey, running for the whole suite; import this name in a conftest to use it."""
    with temporary_data_dir() as data_dir, acquire(Settings(data_dir=data_dir)) as running:
        yield running
        running.close()
