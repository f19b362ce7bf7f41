"""A worker that ends at once takes its children along, and ends whatever comes of that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from pdpp_worker.tasks import ending


class EndedError(Exception):
    """The process would be over now."""


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives until it is killed."""
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
        yield process
        process.kill()


@pytest.fixture(autouse=True)
def exit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_status: int) -> None:
        raise EndedError

    monkeypatch.setattr(os, "_exit", end)


def over() -> psutil.Process:
    """A process that has ended."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        return psutil.Process(process.pid)


@pytest.mark.process
def test_a_child_that_ends_meanwhile_keeps_nobody_alive(
    child: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [over(), psutil.Process(child.pid)]
    monkeypatch.setattr(psutil.Process, "children", lambda *_, **__: listed)

    with pytest.raises(EndedError):
        ending._end_at_once()

    assert child.wait() == -9


def test_a_worker_ends_where_its_children_cannot_be_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise psutil.AccessDenied

    monkeypatch.setattr(psutil.Process, "children", refuse)

    with pytest.raises(EndedError):
        ending._end_at_once()
