"""Names of things in the kit's sentences."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from pdpp_worker.conformance.ledger import Held
from pdpp_worker.protocol.foreign import Foreign
from pdpp_worker.protocol.messages import Message

SHOWN = 3
"""Examples in a sentence."""


def name_of(message: Message | Foreign) -> str:
    """A message by its type and stream; what a program's dialect made of one, by its class."""
    stream, kind = getattr(message, "stream", None), getattr(message, "type", type(message).__name__)
    return kind if stream is None else f"{kind} of stream {stream!r}"


def some(keys: Iterable[object]) -> str:
    """The first of some names, and how many more there are."""
    names = sorted(str(key) for key in keys)
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def some_refusals(refusals: Sequence[str]) -> str:
    """How many messages are refused, and the first of them with the reason."""
    return f"{plural(len(refusals), 'message')} refused: {'; '.join(refusals[:SHOWN])}"


def plural(number: int, word: str) -> str:
    """A count with its word."""
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def difference(wanted: Held, got: Held, streams: Collection[str] | None = None) -> str | None:
    """One phrase about the first stream in which two holdings differ; None when they do not."""
    for stream in sorted({*wanted, *got} if streams is None else streams):
        before, after = wanted.get(stream, {}), got.get(stream, {})
        if lost := before.keys() - after.keys():
            return f"{plural(len(lost), 'record')} of stream {stream!r} missing: {some(lost)}"
        if extra := after.keys() - before.keys():
            return f"{plural(len(extra), 'record')} of stream {stream!r} too many: {some(extra)}"
        if changed := [key for key in before if before[key] != after[key]]:
            one, other = before[changed[0]], after[changed[0]]
            fields = [name for name in {**one, **other} if one.get(name) != other.get(name)]
            return f"{plural(len(changed), 'record')} of stream {stream!r} different in {some(fields)}: {some(changed)}"
    return None


def count(held: Held) -> int:
    """All records."""
    return sum(len(records) for records in held.values())
