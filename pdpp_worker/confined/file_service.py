"""The child's side of a file that stays open: one object that is asked one thing after the other."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Generic, Protocol, TypeVar

import msgspec

from pdpp_worker.confined.requests import Failure, Request

_REQUESTS = msgspec.msgpack.Decoder(Request)


class _Closable(Protocol):
    def close(self) -> object: ...


_Part = TypeVar("_Part", bound=_Closable)


class Service(Generic[_Part]):
    """Answers requests by its methods; a failure is an answer too. Requests come from the worker, never from a file."""

    def __init__(self) -> None:
        self.is_open = False
        """Whether a file is open, so that the child waits for questions about it."""
        self.file = ExitStack()
        self.parts: dict[int, _Part] = {}
        """The things that are being read in the file, by their numbers."""

    def __call__(self, job: bytes) -> bytes:
        """The answer to a request, or the failure that took its place."""
        request = _REQUESTS.decode(job)
        try:
            for number in request.dropped:
                self.drop(number)
            return msgspec.msgpack.encode((None, getattr(self, request.name)(*request.values)))
        except MemoryError:
            raise
        except OSError as error:
            failure = Failure(error.strerror or str(error) or type(error).__name__, error.errno)
        except Exception as error:  # noqa: BLE001 - it is told, and the child goes on
            failure = Failure(str(error) or type(error).__name__)
        if not self.is_open:
            self.close()  # what is half open
        return msgspec.msgpack.encode((failure, None))

    def part(self, number: int) -> _Part:
        """The thing with this number. Raises ValueError."""
        if number not in self.parts:
            raise ValueError("what was read of it is lost, since its reader was ended")
        return self.parts[number]

    def drop(self, number: int) -> None:
        """Leave the thing with this number, if it is there."""
        if part := self.parts.pop(number, None):
            part.close()

    def close(self) -> None:
        """Leave the file, and everything in it."""
        self.is_open = False
        for number in list(self.parts):
            self.drop(number)
        self.file.close()
