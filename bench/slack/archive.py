"""An archive of slackdump's (schema of version 4) of a large workspace, the same one each time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

from tests.connectors.slack.account import ArchiveMaker, channel, said, stamp, user

CHANNELS, USERS = 3_240, 1_460
FAILED = "C017NG64T24"
"""The channel in which slackdump died."""

_PAGE = 100
_WORDS = ("release", "garden", "übermorgen", "日本", "merge", "lunch", "invoice", "deploy", "café", "queue")


def write(directory: Path, rows: int, versions: int) -> int:
    """Write an archive of so many rows of MESSAGE; each message lies there `versions` times. Returns the messages."""
    maker = ArchiveMaker(directory)
    maker.execute("PRAGMA synchronous = OFF")
    maker.execute("PRAGMA cache_size = -200000")
    messages = rows // versions
    for version in range(versions):
        maker.begin("archive" if version == 0 else "resume")
        maker.execute("BEGIN")
        if version == 0:
            maker.workspace()
            maker.users(*(user(f"U{number:08}") for number in range(USERS)))
            maker.channels(*(channel(_channel(number)) for number in range(CHANNELS)))
        for number, page in _pages(messages, version):
            is_open = number == 0 and version == versions - 1
            maker.messages(_channel(number), page, final=not is_open)
        for number in range(CHANNELS):
            if number * _PAGE >= messages:
                maker.messages(_channel(number), [])
        maker.execute("COMMIT")
        if version < versions - 1:
            maker.finish()
    maker.close()
    return messages


def _pages(messages: int, version: int) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Pages of messages, each of the next channel."""
    draw = Random(1)
    for page, first in enumerate(range(0, messages, _PAGE)):
        yield page % CHANNELS, [_message(draw, at, version) for at in range(first, min(first + _PAGE, messages))]


def _message(draw: Random, number: int, version: int) -> dict[str, Any]:
    text = " ".join(draw.choices(_WORDS, k=draw.randrange(4, 40)))
    users = [f"U{draw.randrange(USERS):08}" for _ in range(draw.randrange(3))]
    more: dict[str, Any] = {"reactions": [{"name": "tada", "users": users, "count": len(users)}]} if users else {}
    if draw.random() < 0.05:
        more["attachments"] = [{"title": "A link", "title_link": "https://example.com", "text": text}]
    blocks = [{"type": "rich_text", "elements": [{"type": "text", "text": text}]}]
    return said(stamp(number), f"{text} ({version})", f"U{draw.randrange(USERS):08}", blocks=blocks, **more)


def _channel(number: int) -> str:
    return FAILED if number == 0 else f"C{number:08}"
