"""A test finds neither the settings nor the logging of the one before it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from pdpp_worker import logs
from pdpp_worker.settings import Settings, get_settings
from tests.support.process_state import forget


def test_logging_goes_where_it_does_by_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure(Settings(data_dir=tmp_path))

    forget()
    logs.get_logger().warning("after")

    assert "after" in capsys.readouterr().out
    assert logging.getLogger("httpx").level == logging.NOTSET


def test_settings_are_read_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PDPP_LEASE_S", "17")
    before = get_settings().lease_s
    monkeypatch.delenv("PDPP_LEASE_S")

    forget()

    assert (before, get_settings().lease_s) == (17.0, Settings().lease_s)
