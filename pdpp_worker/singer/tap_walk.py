"""Turns a tap's messages into the profile's, and knows which streams the tap has walked to their end."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, ClassVar

from pdpp_worker.protocol.messages import STREAM_FAILED
from pdpp_worker.protocol.numbers import any_int, exact_float
from pdpp_worker.singer.bookmarks import Bookmarks
from pdpp_worker.singer.message_writer import MessageWriter
from pdpp_worker.singer.record_fields import is_deletion, without_run
from pdpp_worker.singer.row_keys import RowKeys

_RECORD = re.compile(rb'"type"\s*:\s*"RECORD"')
_STREAM = re.compile(rb'"stream"\s*:\s*("(?:[^"\\]|\\.)*")')


class TapViolation(Exception):  # noqa: N818 - the profile's own term
    """The tap wrote what Singer does not allow, or what cannot be followed; says what, without its content."""


class TapWalk:
    """Handles the tap's lines in their order."""

    def __init__(
        self, streams: Mapping[str, str], catalog: Mapping[str, Any], bookmarks: Bookmarks, writer: MessageWriter
    ) -> None:
        """`streams`: our name to the tap's id."""
        self.streams = dict(streams)
        self._writer = writer
        self._bookmarks = bookmarks
        self._names = {str(one.get("stream")): str(one["tap_stream_id"]) for one in catalog["streams"]}
        self._ours = {theirs: ours for ours, theirs in streams.items()}
        self._schemas = {str(one["tap_stream_id"]): one.get("schema") or {} for one in catalog["streams"]}
        self._keys: dict[str, RowKeys] = {}
        self._mentioned: set[str] = set()
        self._finished: set[str] = set()
        self._unrequested: set[str] = set()

    def handle(self, line: bytes) -> None:
        """Handle one line.

        Raises:
            TapViolation: it is no message, or one that cannot be followed.
        """
        if not line.strip():
            return
        try:
            message = json.loads(line, parse_float=exact_float, parse_int=any_int)
            handler = self._HANDLERS.get(message["type"])
        except RecursionError:
            self._too_deep(line)
            return
        except (ValueError, TypeError, KeyError):
            raise TapViolation("a line is no Singer message") from None
        if handler is None:
            raise TapViolation(f"a message of type {message['type']!r} cannot be followed")
        try:
            handler(self, message)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise TapViolation(f"a {message['type']} lacks what it must have ({type(error).__name__})") from None

    def close(self, *, whole: bool) -> set[str]:
        """Write a STATE for each stream that was walked and skip the others; returns the others.

        A tap that ended well walked what it mentioned. One that did not walked what it says that it went on from.
        """
        walked = {name for name in self.streams if self._is_walked(name, whole=whole)}
        for name in sorted(walked):
            self._writer.write("STATE", stream=name, cursor=self._cursor(name, whole=whole))
        for name in sorted(self.streams.keys() - walked):
            text = "the tap was asked for this stream and never mentioned it"
            if whole:
                self._writer.skip(name, "source_partition_failed", "retry_by_runtime", text)
            else:
                self._writer.skip(name, STREAM_FAILED, "retry_by_runtime", "the tap ended before this stream was whole")
        return self.streams.keys() - walked

    def _cursor(self, name: str, *, whole: bool) -> dict[str, Any]:
        keys = self._keys.get(name)
        return self._bookmarks.cursor(name, None if keys is None else keys.names, whole_walk=whole)

    def _too_deep(self, line: bytes) -> None:
        """A row that cannot be parsed for its depth costs itself alone."""
        found = _STREAM.search(line)
        named = "" if found is None else json.loads(found[1])
        name = self._ours.get(self._names.get(named, named))
        if name is None or not _RECORD.search(line):
            raise TapViolation("a line is nested too deeply")
        key = f"row:{blake2b(line, digest_size=16).hexdigest()}"
        why = "a row is nested too deeply to be read"
        self._writer.write("DETAIL_GAP", stream=name, record_key=key, reason="parse_failed", last_error=why)

    def _is_walked(self, name: str, *, whole: bool) -> bool:
        if whole:
            return name in self._mentioned or self._bookmarks.mentions(name)
        return name in self._finished

    def _schema(self, message: dict[str, Any]) -> None:
        if (name := self._ours_of(message)) is not None:
            keys = message.get("key_properties") or []
            names = [keys] if isinstance(keys, str) else list(keys)
            self._finished.discard(name)
            if name in self._keys and self._keys[name].names == names:
                return
            schemas = (self._schemas.get(self.streams[name], {}), message.get("schema") or {})
            self._keys[name] = RowKeys(names, schemas, self._bookmarks.keys_before(name))

    def _record(self, message: dict[str, Any]) -> None:
        name = self._ours_of(message)
        if name is None:
            return
        if name not in self._keys:
            raise TapViolation(f"a RECORD of stream {name} came before its SCHEMA")
        self._finished.discard(name)
        row: dict[str, Any] = message["record"]
        deleted = {"op": "delete"} if is_deletion(row) else {}
        # The time of reading, not the tap's: its clock or a query that began earlier would make the row look old.
        emitted_at = datetime.now(UTC).isoformat()
        key = self._keys[name].key(row)
        for former in self._keys[name].former(row, key):
            self._writer.write("RECORD", stream=name, key=former, data={}, emitted_at=emitted_at, op="delete")
        self._writer.write("RECORD", stream=name, key=key, data=without_run(row), emitted_at=emitted_at, **deleted)

    def _state(self, message: dict[str, Any]) -> None:
        before = self._bookmarks.syncing
        self._bookmarks.update(dict(message["value"]))
        if (at := self._ours.get(self._bookmarks.syncing or "")) is not None:
            self._mentioned.add(at)
        self._finished |= {name for name in self.streams if self._bookmarks.is_past(name, before)}

    def _activate_version(self, message: dict[str, Any]) -> None:
        """The tap has sent a table whole. Records that are not in it any more are kept all the same."""
        self._ours_of(message)

    def _ours_of(self, message: dict[str, Any]) -> str | None:
        """Our name of a message's stream; None for one that nobody asked for."""
        named = str(message["stream"])
        name = self._ours.get(self._names.get(named, named))
        if name is not None:
            self._mentioned.add(name)
        elif named not in self._unrequested:
            self._unrequested.add(named)
            self._writer.write("PROGRESS", message="the tap sends a stream that it was not asked for; it is left out")
        return name

    _HANDLERS: ClassVar[dict[str, Callable[[TapWalk, dict[str, Any]], None]]] = {
        "SCHEMA": _schema,
        "RECORD": _record,
        "STATE": _state,
        "ACTIVATE_VERSION": _activate_version,
    }
