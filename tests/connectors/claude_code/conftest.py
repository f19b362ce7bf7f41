"""Directories and rights for the tests."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An empty projects directory."""
    directory = tmp_path / "projects"
    directory.mkdir()
    return directory


@pytest.fixture
def open_root() -> Iterator[Path]:
    """A projects directory that every user of the machine may enter."""
    base = Path(tempfile.mkdtemp())
    base.chmod(0o755)
    directory = base / "projects"
    directory.mkdir()
    yield directory
    shutil.rmtree(base)


@pytest.fixture
def as_plain_user() -> Callable[[], AbstractContextManager[None]]:
    """Enter it to be without root's right to read everything."""

    @contextmanager
    def drop() -> Iterator[None]:
        if os.geteuid() != 0:
            yield
            return
        os.seteuid(NOBODY)
        try:
            yield
        finally:
            os.seteuid(0)

    return drop
