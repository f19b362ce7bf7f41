"""Lines of a growing file, read in blocks, and a cheap proof that what was read before is still there."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from typing import Any, BinaryIO, NamedTuple, NoReturn

from msgspec import DecodeError
from msgspec.json import Decoder
from pydantic_core import from_json

BLOCK_BYTES = 1024 * 1024
MAX_LINE_BYTES = 64 * 1024 * 1024
"""Longest line that is read; a longer one is passed over without being held."""

WINDOW_BYTES = 4096
_RECENT_BYTES = 16 * WINDOW_BYTES
_CHECK_BYTES = 6
_BOM = b"\xef\xbb\xbf"


_SURELY_FLAT = 200
"""Objects and arrays of a line that is surely nested no deeper than any of the parsers reads."""
_read_object = Decoder(dict[str, Any]).decode


class BrokenLine(ValueError):  # noqa: N818 - it names the line, not a failure of ours
    """A line that is not a JSON object; says why, without its content."""


class Line(NamedTuple):
    """One line: its first byte, the byte after its last, and its bytes unless it is too long."""

    offset: int
    end: int
    data: bytes | None
    finished: bool
    """Whether a newline ends it; the last line of a file may still be growing."""


_line: Callable[[tuple[int, int, bytes | None, bool]], Line] = partial(tuple.__new__, Line)
"""Makes one without a call of Python's own, of which there would be one for each line."""


@dataclass(slots=True)
class Anchor:
    """The offset up to which a file was read, and the bytes at both ends of that stretch as they were read.

    An append-only file keeps both ends. A file rewritten so that its first 4 KiB and the 4 KiB before the offset stay
    byte for byte the same, with only the middle edited to the same length, is taken for unchanged: the price of not
    reading gigabytes again for every appended line. A full refresh reads everything.
    """

    offset: int = 0
    head: bytes = b""
    window: bytes = b""
    _recent: list[bytes] = field(default_factory=list)
    """Bytes behind the window that it does not hold yet; so a short line costs no copy of it."""
    _recent_bytes: int = 0

    @classmethod
    def at(cls, file: BinaryIO, offset: int) -> Anchor:
        """The anchor for what the file holds now; the file's position is left as it was."""
        position = file.tell()
        file.seek(0)
        head = file.read(min(offset, WINDOW_BYTES))
        file.seek(max(0, offset - WINDOW_BYTES))
        window = file.read(min(offset, WINDOW_BYTES))
        file.seek(position)
        return cls(offset, head, window)

    def advance(self, data: bytes) -> None:
        """Take in the bytes that follow."""
        size = len(data)
        if self.offset < WINDOW_BYTES:
            self.head += data[: WINDOW_BYTES - len(self.head)]
        self._recent.append(data)
        self._recent_bytes += size
        if self._recent_bytes > _RECENT_BYTES:
            self._move_window()
        self.offset += size

    def check(self) -> str:
        """Eight characters that stand for both ends and the offset."""
        self._move_window()
        digest = blake2b(self.head, digest_size=_CHECK_BYTES)
        digest.update(self.window)
        digest.update(str(self.offset).encode())
        return urlsafe_b64encode(digest.digest()).decode()

    def _move_window(self) -> None:
        self.window = b"".join((self.window, *self._recent))[-WINDOW_BYTES:]
        self._recent, self._recent_bytes = [], 0


def read_lines(file: BinaryIO, offset: int, size: int, limit: int) -> Iterator[Line]:
    """The lines that begin between `offset` and `size` (bytes), without the data of those beyond `limit` bytes."""
    file.seek(offset)
    readline = file.readline
    while offset < size and (data := readline(limit + 1)):
        begin, offset = offset, offset + len(data)
        finished = data.endswith(b"\n")
        if finished or len(data) <= limit:
            yield _line((begin, offset, data, finished))
        else:
            skipped, finished = _skip_line(file)
            offset += skipped
            yield _line((begin, offset, None, finished))


def parse(data: bytes) -> dict[str, Any]:
    """The JSON object of a line. Bytes that are not UTF-8 become lone surrogates, so that none is lost.

    Raises:
        BrokenLine: it is not a JSON object.
    """
    try:
        value = _read_object(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return _parse_any(data)  # it may know better, and says what is wrong
    return value if _is_surely_flat(value) else _parse_any(data)


def _is_surely_flat(value: dict[str, Any]) -> bool:
    """Whether a value holds few objects and arrays: to look through it takes less than to look through its text."""
    holders: list[Any] = [value]
    for holder in holders:
        for one in holder.values() if type(holder) is dict else holder:
            if type(one) is dict or type(one) is list:
                holders.append(one)  # noqa: PERF401 - a list for each holder would take as long again
        if len(holders) > _SURELY_FLAT:
            return False
    return True


def _parse_any(data: bytes) -> dict[str, Any]:
    try:
        value = from_json(data, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        if "recursion limit" in str(error):
            raise BrokenLine("nested too deeply") from None
        value = _parse_awkward(data)
    if not isinstance(value, dict):
        raise BrokenLine(f"a JSON {type(value).__name__}, not an object")
    return value


def _parse_awkward(data: bytes) -> Any:
    """Parses input that the fast parser refuses: lone surrogates, bytes that are not UTF-8, a byte order mark."""
    text = data.removeprefix(_BOM).decode("utf-8", "surrogateescape")
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise BrokenLine(f"not JSON: {error.msg} at character {error.pos}") from None
    except ValueError:
        raise BrokenLine("not JSON: a number that cannot be read") from None
    except RecursionError:
        raise BrokenLine("nested too deeply") from None


def _refuse_constant(_: str) -> NoReturn:
    raise ValueError


def _skip_line(file: BinaryIO) -> tuple[int, bool]:
    """Pass over the rest of a line: its bytes, and whether a newline ended it."""
    skipped = 0
    while piece := file.readline(BLOCK_BYTES):
        skipped += len(piece)
        if piece.endswith(b"\n"):
            return skipped, True
    return skipped, False
