"""A worker that can die at any of its transactions, and what happens to one of its slices."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from sqlalchemy import Connection

from pdpp_worker.connector import AuthExpired, DetailGapRecovered, Message, UpstreamError
from pdpp_worker.store import commit
from pdpp_worker.store.engine import Database
from tests.support.source import Word


class Killed(BaseException):
    """The worker is gone in the middle of it."""


@dataclass
class Mischief:
    """The accident of a slice, if there is one."""

    dies_at: int | None = None
    """The number of the transaction at which the worker dies."""
    dies_after: bool = False
    """Whether that transaction is committed before."""
    at_message: int | None = None
    """The number of the message before which `happens` is done."""
    happens: Callable[[], Message | None] = field(default=lambda: None)
    stops: bool = False
    """Whether the worker shuts down, so that the slice ends after its first message."""


class Mortal(Database):
    """The database as one worker sees it in one slice."""

    def __init__(self, db: Database, mischief: Mischief, durable: Callable[[list[Word]], None]) -> None:
        """`durable` is told what was said, as soon as it is committed."""
        self.engine = db.engine
        self._mischief = mischief
        self._durable = durable
        self._slice = threading.current_thread()
        self._begun = self._committed = 0
        self.said: list[Word] = []

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """One transaction, at whose end the worker may die; that of another thread, which renews leases, is none."""
        if threading.current_thread() is not self._slice:
            with super().begin() as connection:
                yield connection
            return
        self._begun += 1
        dies = self._begun == self._mischief.dies_at
        with super().begin() as connection:
            yield connection
            if dies and not self._mischief.dies_after:
                raise Killed
        self._committed += 1
        if dies:
            raise Killed

    @contextmanager
    def committing(self) -> Iterator[None]:
        """Around the commit of a batch."""
        before = self._committed
        try:
            yield
        finally:
            if self._committed > before:
                said, self.said = self.said, []
                self._durable(said)


def watch_commits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every mortal worker know which of its batches were committed."""
    real = commit.commit_batch

    def commit_batch(db: Database, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(db, Mortal):
            return real(db, *args, **kwargs)
        with db.committing():
            return real(db, *args, **kwargs)

    monkeypatch.setattr("pdpp_worker.runtime.committer.commit_batch", commit_batch)
    monkeypatch.setattr("pdpp_worker.runtime.committer._in_thread", done_at_once)


def done_at_once(write: Callable[[], Any]) -> Future[Any]:
    """Write a batch now; its outcome is met later, as that of one that is written in a thread. A kill ends both."""
    done: Future[Any] = Future()
    try:
        done.set_result(write())
    except Exception as error:  # noqa: BLE001 - met where the outcome is asked for
        done.set_exception(error)
    return done


def fail_upstream() -> Message | None:
    """The provider has an error of its own."""
    raise UpstreamError("503")


def fail_sign_in() -> Message | None:
    """The provider refuses the sign-in."""
    raise AuthExpired("401")


def fail_by_itself() -> Message | None:
    """The connector has a fault."""
    raise ZeroDivisionError


def say_nonsense() -> Message | None:
    """A message that breaks a rule."""
    return DetailGapRecovered(gap_id="0", stream="items", record_key="0")
