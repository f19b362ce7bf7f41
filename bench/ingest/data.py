"""The records: messages of conversations, about 600 bytes of JSON each, the same for the same seed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson

Item = dict[str, Any]

STREAM = "messages"
CURSOR_FIELD = "updated_at"
RECORDS_FILE = "records.jsonl"

_SEED = 1
_READ_BYTES = 1024 * 1024
"""So that a reader does not hand over the interpreter for every dozen records."""
_BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
_PER_CONVERSATION = 40
_ROLES = ("user", "assistant", "tool")
_TAGS = ("travel", "code", "garden", "letters", "reading", "übersetzt", "日記")
_SENTENCES = (
    "The list was sorted before the filter ran, so the order changed.",
    'She wrote "see you on Thursday" and left the rest open.',
    "Try it once more with the other key; the first one had expired.",
    "Der Zug fährt um 14:05 Uhr ab, das Gleis steht noch nicht fest.",
    "for row in rows:\n    total += row.amount\nprint(total)",
    "A café on the corner opens at eight — earlier in summer.",
    "Path C:\\data\\2024 is read only, which explains the error.",
    "これは短い例です。",
    "Add two cups of flour, then wait; the dough has to rest for an hour.",
    "The answer depends on what you count: days, working days, or weeks.",
)


def items(count: int) -> Iterator[Item]:
    """Make `count` records."""
    draw = Random(_SEED)
    for number in range(count):
        yield _item(draw, number)


def write(folder: Path, count: int) -> None:
    """Write `count` records to the folder, as one JSON object a line."""
    with (folder / RECORDS_FILE).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item, ensure_ascii=False) + "\n" for item in items(count))


def read(folder: Path, offset: int = 0) -> Iterator[tuple[Item, int]]:
    """The records from a byte offset on, each with the offset that follows it."""
    with (folder / RECORDS_FILE).open("rb", buffering=_READ_BYTES) as file:
        file.seek(offset)
        for line in file:
            offset += len(line)
            yield orjson.loads(line), offset


def _item(draw: Random, number: int) -> Item:
    place = number % _PER_CONVERSATION
    created = _BEGIN + timedelta(seconds=90 * number, microseconds=draw.randrange(1_000_000))
    tokens = draw.randrange(20, 4000)
    return {
        "id": _name(number),
        "conversation_id": _name(number // _PER_CONVERSATION + 2**63),
        "parent_id": _name(number - 1) if place else None,
        "author": {"role": _ROLES[place % 2 if draw.random() < 0.9 else 2], "name": None},
        "created_at": created.isoformat(),
        "updated_at": (created + timedelta(seconds=draw.randrange(60))).isoformat(),
        "text": " ".join(draw.choices(_SENTENCES, k=draw.randrange(1, 6))),
        "model": f"model-{draw.randrange(4)}" if place % 2 else None,
        "weight": draw.random(),
        "edited": draw.random() < 0.05,
        "usage": {"input": tokens * 3, "output": tokens, "cached": tokens // 2},
        "tags": draw.sample(_TAGS, k=draw.randrange(3)),
    }


def _name(number: int) -> str:
    """An id with the looks of a UUID, in no order."""
    digits = f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
