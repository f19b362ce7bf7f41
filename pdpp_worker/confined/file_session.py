"""A foreign file that a child opens and reads, piece by piece, as the worker asks for it.

A child that takes too much time or memory is killed, which costs the piece that it was asked for, and all that was half
read. The next question goes to another child, which opens the file anew.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from contextlib import suppress
from functools import cache
from typing import Any, Generic, TypeVar, cast

import msgspec

from pdpp_worker.confined.child_pool import ChildPool
from pdpp_worker.confined.parser_child import Child, ConfinedError, LeftError
from pdpp_worker.confined.requests import Failure, Request

MOST_KILLS = 3
"""Children of one file that are killed before the file is given up."""
PATIENCE_S = 600.0
"""Time that a file waits until a child is free for it."""

_SUDDEN = "its reader came to a sudden end"
_Answer = TypeVar("_Answer")
_Opened = TypeVar("_Opened")


class Session(Generic[_Opened]):
    """One open file; for one thread at a time. Every method raises OSError for a failure of the system, `fault` for
    one of the file, and `fault` when a child was killed."""

    def __init__(self, children: ChildPool, fault: type[Exception], kind: type[_Opened], *opening: Any) -> None:
        self._children, self._fault = children, fault
        self._kind, self._opening = kind, opening
        self._child: Child | None = None
        self._kills = 0
        self._dropped: list[int] = []
        self._numbers = itertools.count()
        self._is_closed = False
        self.opened = self._open()
        """The child's answer when it opened the file."""

    def ask(self, kind: type[_Answer], *question: Any) -> _Answer:
        """The answer to a question: a name, and values."""
        if self._child is None and self._open() != self.opened:
            raise self._fault("it changed while it was read")
        try:
            return self._ask(kind, question)
        except LeftError:
            raise self._fault(_SUDDEN) from None

    def number(self) -> int:
        """A number for a thing that is to be opened in the file; none is given twice."""
        return next(self._numbers)

    def drop(self, number: int) -> None:
        """Leave that thing."""
        self._dropped.append(number)

    def close(self) -> None:
        """Leave the file."""
        self._is_closed = True
        if self._child is not None:
            with suppress(self._fault, OSError, LeftError):
                self._ask(bool, ("close",))
            self._leave()

    def _open(self) -> _Opened:
        while True:
            self._take()
            try:
                return self._ask(self._kind, self._opening)
            except LeftError:
                continue
            except BaseException:
                self._leave()
                raise

    def _take(self) -> None:
        if self._is_closed:
            raise self._fault("it is closed")
        if self._kills >= MOST_KILLS:
            raise self._fault(f"{MOST_KILLS} times its reader had to be ended")
        self._dropped.clear()
        try:
            self._child = self._children.take(PATIENCE_S)
        except ConfinedError as error:
            raise self._fault(str(error)) from None

    def _leave(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            self._children.give_back(child)

    def _ask(self, kind: type[_Answer], question: tuple[Any, ...]) -> _Answer:
        dropped, self._dropped = self._dropped, []
        request = msgspec.msgpack.encode(Request(question[0], list(question[1:]), dropped))
        try:
            answer = cast("Child", self._child).ask(request, self._children.wall_s)
            failure, value = _decoder(cast("Hashable", kind)).decode(answer)
        except (ConfinedError, msgspec.DecodeError) as error:
            raise self._killed(error) from error
        except BaseException:
            self._leave()
            raise
        if failure is not None:
            raise self._fault(failure.text) if failure.number is None else OSError(failure.number, failure.text)
        return cast("_Answer", value)

    def _killed(self, error: Exception) -> Exception:
        cast("Child", self._child).end()
        self._leave()
        self._kills += 1
        return self._fault(str(error) if isinstance(error, ConfinedError) else _SUDDEN)


@cache
def _decoder(kind: Any) -> msgspec.msgpack.Decoder[tuple[Failure | None, Any]]:
    return msgspec.msgpack.Decoder(tuple[Failure | None, kind | None])
