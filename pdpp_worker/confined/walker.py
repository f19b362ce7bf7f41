"""The child that walks a source: runs a generator of messages, and answers with one chunk of them after the other."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Annotated, Any

import msgspec

from pdpp_worker.confined.carried import Carried, Form, Packed, Write, carry
from pdpp_worker.confined.raised import Raised, told
from pdpp_worker.protocol.messages import Message
from pdpp_worker.protocol.schemas import validator_for
from pdpp_worker.runtime import rows
from pdpp_worker.runtime.garbage import search_rarely

MOST_MESSAGES = 128
"""Messages of one chunk."""
CHUNK_BYTES = 192 * 1024
"""Bytes of messages after which a chunk ends; so many fit into the socket, so that the walk goes on at once."""
CHUNK_S = 0.2
"""A message that comes so long after the last chunk is told at once, so that a slow walk is not taken for silence."""
AHEAD_BYTES = 4 * 1024 * 1024
"""Bytes of chunks that are made before they are asked for."""
MORE = b""
"""The job that asks for the next chunk."""


class Walk(msgspec.Struct, array_like=True):
    """The first job: a generator function, "module:function", and its arguments."""

    function: str
    arguments: list[Any]
    forms: dict[str, Form]
    """The forms of the streams whose records are encoded here."""


class Chunk(msgspec.Struct, array_like=True):
    """Messages of a walk; the last ones come with what it raised after them, if it did."""

    messages: Annotated[list[Carried], msgspec.Meta(max_length=MOST_MESSAGES)]
    is_last: bool
    raised: Raised | None


class Walker:
    """Walks once. The next chunks are made while the worker works on those before."""

    def __init__(self) -> None:
        self._goes_on = False
        self._messages: Iterator[Message] = iter(())
        self._writers: dict[str, Write] = {}
        self._ahead: deque[bytes] = deque()
        self._due = 0.0
        threading.Thread(target=_end_with_the_worker, daemon=True).start()

    @property
    def is_open(self) -> bool:
        """Whether there is more to tell, so that the child waits to be asked for it."""
        return self._goes_on or bool(self._ahead)

    def __call__(self, job: bytes) -> bytes:
        """The next chunk."""
        if job != MORE:
            self._begin(msgspec.msgpack.decode(job, type=Walk))
        if not self._ahead:
            self._ahead.append(self._chunk())
        return self._ahead.popleft()

    def _begin(self, walk: Walk) -> None:
        self._writers = {name: _writer(form) for name, form in walk.forms.items()}
        self._messages, self._goes_on = iter(named(walk.function)(*walk.arguments)), True
        search_rarely()

    def read_ahead(self) -> bool:
        """Make one chunk more; returns whether another one may be made."""
        if self._goes_on:
            self._ahead.append(self._chunk())
        return self._goes_on and sum(map(len, self._ahead)) < AHEAD_BYTES

    def _chunk(self) -> bytes:
        parts: list[Packed] = []
        raised = None
        try:
            self._goes_on = self._fill(parts)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - it is told, and raised again in the worker
            self._goes_on, raised = False, told(error)
        self._due = time.monotonic() + CHUNK_S
        return msgspec.msgpack.encode((parts, not self._goes_on, raised))

    def _fill(self, parts: list[Packed]) -> bool:
        """Gather messages; returns whether there may be more of them."""
        size = 0
        for message in self._messages:
            part, length = carry(message, self._writers)
            parts.append(part)
            size += length
            if len(parts) == MOST_MESSAGES or size >= CHUNK_BYTES or time.monotonic() >= self._due:
                return True
        return False


def named(function: str) -> Callable[..., Iterator[Message]]:
    """The generator function of this name, "module:function"."""
    module, _, name = function.partition(":")
    found: Callable[..., Iterator[Message]] = getattr(import_module(module), name)
    return found


def _writer(form: Form) -> Write:
    validator = validator_for(form.schema)
    return lambda record: rows.write_apart(record, validator, form.cursor_field)


def _end_with_the_worker() -> None:
    """End this process when the worker's end of the socket is closed, in the midst of a chunk, too."""
    ends = select.poll()
    ends.register(sys.stdin.fileno(), 0)
    while not any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in ends.poll()):
        pass
    os._exit(0)
