"""An inbox and its owner."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.usaa.owner import Owner


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    """An empty inbox."""
    directory = tmp_path / "inbox"
    directory.mkdir()
    return directory


@pytest.fixture
def owner(inbox: Path) -> Owner:
    """The owner of the inbox."""
    return Owner({"inbox": str(inbox)})
