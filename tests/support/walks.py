"""Walks over no source, which a child runs in the tests."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pdpp_worker.connector import Gone, Message, Record, State

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def item(number: int, **more: Any) -> Record:
    """A record."""
    return Record(stream="items", key=str(number), data={"id": str(number), **more}, emitted_at=NOW)


def items(begin: int, end: int, every: int = 10) -> Iterator[Message]:
    """Records, and a checkpoint after so many of them."""
    for number in range(begin, end):
        yield item(number)
        if (number + 1) % every == 0:
            yield State(stream="items", cursor=number + 1)


def breaks(kind: str, path: str) -> Iterator[Message]:
    """One record, and then a failure of some kind."""
    yield item(0)
    if kind == "gone":
        raise Gone("it is not there", status=404, code="no_such")
    if kind == "system":
        Path(path).read_bytes()
    if kind == "memory":
        _ = b"x" * (8 << 30)
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    raise KeyError("a secret")


def killed_in_the_midst(begin: int, end: int, at: int, mark: str) -> Iterator[Message]:
    """The items, whose process is killed once, as the file `mark` tells."""
    for number, message in enumerate(items(begin, end)):
        if number == at and not Path(mark).exists():
            Path(mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield message


def reports(path: str) -> Iterator[Message]:
    """The process and its environment, in one record; then nothing for ever."""
    yield item(0, pid=os.getpid(), names=sorted(os.environ))
    Path(path).touch()
    while True:
        time.sleep(60)


def spins() -> Iterator[Message]:
    """The process, and then no message for ever."""
    yield item(0, pid=os.getpid())
    while True:
        pass


def slow(mark: str) -> Iterator[Message]:
    """A message, a wait until a file is there, and another message."""
    yield item(0)
    time.sleep(0.3)
    yield item(1)
    while not Path(mark).exists():
        time.sleep(0.01)
    yield item(2)
