"""Readable text out of blocks and attachments, written as Slack writes it in `text`. Pure; takes any JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from connectors.slack.fields import integer, text
from pdpp_worker.connector.json_fields import array, table, tables

Obj = dict[str, Any]

MAX_DEPTH = 20
"""Blocks within blocks that are looked into."""


def of_blocks(blocks: Any) -> str | None:
    """The text of a message's or card's blocks, a line for each part; None where there is none."""
    return _joined("\n", (line for block in tables(blocks) for line in _lines(block, 0)))


def of_attachment(raw: Obj) -> str | None:
    """The text of an attachment: its own, else that of its fields and blocks."""
    fields = [_joined(": ", (text(one.get("title")), text(one.get("value")))) for one in tables(raw.get("fields"))]
    quoted = (of_blocks(table(one.get("message")).get("blocks")) for one in tables(raw.get("message_blocks")))
    return text(raw.get("text")) or _joined("\n", (*fields, of_blocks(raw.get("blocks")), *quoted))


def of_message(raw: Obj) -> str | None:
    """The text of a message: its own, else that of its blocks, else that of its attachments."""
    if (own := raw.get("text")) and isinstance(own, str):
        return own
    return of_blocks(raw.get("blocks")) or _joined("\n", map(_card, tables(raw.get("attachments"))))


def _card(raw: Obj) -> str | None:
    return _joined("\n", (text(raw.get("pretext")), text(raw.get("title")), of_attachment(raw))) or text(
        raw.get("fallback")
    )


def _lines(block: Obj, depth: int) -> Iterator[str | None]:
    """The lines of one block or part of one."""
    if depth > MAX_DEPTH:
        return
    kind = block.get("type")
    if kind == "rich_text_list":
        yield from _list(block, depth)
    elif kind in ("rich_text_section", "rich_text_preformatted"):
        yield _inline(block)
    elif kind == "rich_text_quote":
        yield _joined("", ("> ", _inline(block)))
    elif kind == "table":
        for row in array(block.get("rows")):
            yield _joined(" | ", (_joined(" ", _lines(cell, depth + 1)) for cell in tables(row)))
    else:
        yield from _parts(block, depth)


def _parts(block: Obj, depth: int) -> Iterator[str | None]:
    """The lines of a block of any kind: whatever of it is meant to be read."""
    for name in ("title", "label", "text", "description", "hint", "alt_text", "markdown"):
        yield _said(block.get(name))
    for one in tables(block.get("fields")):
        yield _said(one)
    for name in ("elements", "options"):
        for one in tables(block.get(name)):
            yield from _lines(one, depth + 1)
    if accessory := table(block.get("accessory")):
        yield from _lines(accessory, depth + 1)
    for name in ("image_url", "title_url", "video_url"):
        if block.get("type") in ("image", "video"):
            yield text(block.get(name))


def _said(value: Any) -> str | None:
    """A text, or the text of a text object."""
    return text(value) or text(table(value).get("text"))


def _list(block: Obj, depth: int) -> Iterator[str]:
    indent = "  " * min(MAX_DEPTH, integer(block.get("indent")) or 0)
    first = (integer(block.get("offset")) or 0) + 1
    for number, item in enumerate(tables(block.get("elements")), start=first):
        sign = f"{number}." if block.get("style") == "ordered" else "•"
        yield f"{indent}{sign} {_joined(' ', _lines(item, depth + 1)) or ''}".rstrip()


def _inline(section: Obj) -> str | None:
    return _joined("", (_word(one) for one in tables(section.get("elements"))), strip=False)


_WORDS: dict[str, Callable[[Obj], str | None]] = {
    "text": lambda one: text(one.get("text")),
    "link": lambda one: f"<{_joined('|', (text(one.get('url')), text(one.get('text'))))}>",
    "emoji": lambda one: f":{one.get('name')}:",
    "user": lambda one: f"<@{one.get('user_id')}>",
    "channel": lambda one: f"<#{one.get('channel_id')}>",
    "usergroup": lambda one: f"<!subteam^{one.get('usergroup_id')}>",
    "broadcast": lambda one: f"<!{one.get('range')}>",
    "date": lambda one: text(one.get("fallback")) or str(one.get("timestamp")),
    "color": lambda one: text(one.get("value")),
}


def _word(one: Obj) -> str | None:
    known = _WORDS.get(str(one.get("type")))
    return known(one) if known else _said(one.get("text"))


def _joined(between: str, parts: Iterable[str | None], *, strip: bool = True) -> str | None:
    found = between.join(part for part in parts if part)
    return (found.strip("\n") if strip else found) or None
