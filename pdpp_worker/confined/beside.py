"""A walk over a large source, in a process of its own beside the worker's.

To make messages of a source takes more time than to store them, and each of the two fills one processor. The child
makes the next chunks of messages while the worker stores those before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from pdpp_worker.confined.carried import Form, arrived
from pdpp_worker.confined.parser_child import Child, ConfinedError, LeftError
from pdpp_worker.confined.places import Places, idle_processors
from pdpp_worker.confined.raised import again
from pdpp_worker.confined.walker import MORE, Chunk, Walk, named
from pdpp_worker.errors import UpstreamError
from pdpp_worker.protocol.messages import Message

WORTH_BYTES = 16 * 1024 * 1024
"""From so many bytes on that are to be read, a process beside the worker pays for its start."""
MEMORY_BYTES = 4 << 30
"""Address space of the child; a line of 64 MB takes most, and what is read goes through it piece by piece."""
CPU_S = 600.0
"""Processor time until the next message; the slice is ended before, when it is silent for too long."""
WALL_S = 3600.0
LARGEST_CHUNK = 256 * 1024 * 1024
"""A chunk holds one message of any size, or several of half a megabyte in all."""

_PLACES = Places(idle_processors())
_read = msgspec.msgpack.Decoder(Chunk).decode


def beside(check: Callable[[], None], forms: Mapping[str, Form], function: str, *arguments: Any) -> Iterator[Message]:
    """The messages of a generator function, "module:function", which runs in a child process.

    Where no processor is free for that, it runs here. `arguments` are values that msgpack knows. `check` is called
    every second while a message is waited for; what it raises ends the child. Records of the streams of which `forms`
    are given come encoded.

    The child has an empty environment, and reads what this process may read. An exception of the function is raised
    here, too: a `PdppError`, an `OSError`, anything else as an exception of the same name. The end of this generator
    ends the child.

    Raises:
        UpstreamError: the child was ended, by its limits or by somebody.
    """
    place = _PLACES.take()
    if place is None:
        yield from here(function, *arguments)
        return
    try:
        yield from _walk(check, msgspec.msgpack.encode(Walk(function, list(arguments), dict(forms))))
    finally:
        _PLACES.give_back(place)


def _walk(check: Callable[[], None], job: bytes) -> Iterator[Message]:
    child = Child("pdpp_worker.confined.walker:Walker", MEMORY_BYTES, CPU_S)
    try:
        goes_on = True
        with _told():
            child.send(job, WALL_S)
        while goes_on:
            with _told():
                chunk = _read(child.receive(WALL_S, largest=LARGEST_CHUNK, meanwhile=check))
                messages = [arrived(one) for one in chunk.messages]
                goes_on = not chunk.is_last
                if goes_on:
                    child.send(MORE, WALL_S)
            yield from messages
        if chunk.raised is not None:
            raise again(chunk.raised)
    finally:
        child.end()


def here(function: str, *arguments: Any) -> Iterator[Message]:
    """The messages of a generator function, "module:function", which runs in this process."""
    yield from named(function)(*arguments)


@contextmanager
def _told() -> Iterator[None]:
    """Say in words that the child was ended."""
    try:
        yield
    except ConfinedError as error:
        raise UpstreamError(f"the source was not read to its end: {error}") from error
    except (LeftError, msgspec.DecodeError, ValueError, TypeError) as error:
        raise UpstreamError("the source was not read to its end: its reader came to a sudden end") from error
