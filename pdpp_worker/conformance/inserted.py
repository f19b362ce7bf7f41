"""Puts one line of another making into what a command says, and reads it as the runtime reads a command's lines."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import closing
from typing import cast

from pdpp_worker.command.collect import facts_of
from pdpp_worker.command.dialect.forms import Reply
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.connector import Context
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import Message, Record, Start


class Insertion:
    """Puts a line after the first record of a run, or in its place."""

    def __init__(self, manifest: Manifest, line: bytes, *, replaces: bool) -> None:
        self._manifest = manifest
        self._line = line
        self._replaces = replaces

    def into(self, messages: Generator[Message], start: Start, context: Context) -> Generator[Message]:
        """The messages, with what the line holds among them; those that answer it go nowhere."""
        reader = DialectReader(facts_of(self._manifest, start, context, Handover(())))
        is_due = True
        with closing(messages):
            for message in messages:
                is_here = is_due and isinstance(message, Record)
                if not (is_here and self._replaces):
                    yield message
                if is_here:
                    is_due = False
                    yield from self._items(reader)

    def _items(self, reader: DialectReader) -> Iterator[Message]:
        for item in reader.read(self._line):
            if not isinstance(item, Reply):
                yield cast("Message", item)
