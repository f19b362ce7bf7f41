"""The row of the table: an export of many conversations, as the platform mails it to its owner."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import orjson

from bench.sources import measured
from bench.table import Ground, Way

_MB = 200
_MESSAGES = 22
_BEGIN = 1_700_000_000.5
_WORDS = (
    "release",
    "garden",
    "übermorgen",
    "日本",
    "merge",
    "lunch",
    "invoice",
    "deploy",
    "café",
    "queue",
    "\U0001f600",
)


def export(ground: Ground) -> Iterator[Way]:
    """An export of 200 MB (unpacked) beside orjson and COPY."""
    size, path = ground.size(_MB), ground.folder / "export.zip"
    write(path, size * 1_000_000)
    given = {"archive": str(path), "keep_files": False}
    yield from measured(ground, f"ChatGPT export, {size} MB", "chatgpt", given, path, {"orjson + COPY": PEER})


PEER = "bench.chatgpt.export_peer"


def write(path: Path, size: int) -> None:
    """Write an export of so many bytes; the same each time."""
    draw, written, number = Random(1), 0, 0
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("conversations.json", "w", force_zip64=True) as out,
    ):
        out.write(b"[")
        while written < size:
            one = orjson.dumps(_conversation(draw, number))
            out.write(b", " * bool(number) + one)
            written, number = written + len(one), number + 1
        out.write(b"]")


def _conversation(draw: Random, number: int) -> dict[str, Any]:
    key = f"{number:08x}-0000-4000-8000-{draw.getrandbits(48):012x}"
    names = [f"{number:08x}-{at:04x}-4000-8000-{draw.getrandbits(48):012x}" for at in range(draw.randrange(4, 40))]
    began = _BEGIN + 3600 * number
    nodes = {
        name: {
            "id": name,
            "message": _message(draw, name, at, began),
            "parent": names[at - 1] if at else None,
            "children": names[at + 1 : at + 2],
        }
        for at, name in enumerate(names)
    }
    return {
        "title": " ".join(draw.choices(_WORDS, k=4)),
        "create_time": began,
        "update_time": began + 60 * len(names),
        "mapping": nodes,
        "moderation_results": [],
        "current_node": names[-1],
        "safe_urls": [],
        "conversation_id": key,
        "id": key,
    }


def _message(draw: Random, name: str, at: int, began: float) -> dict[str, Any]:
    text = " ".join(draw.choices(_WORDS, k=draw.randrange(10, 400)))
    metadata: dict[str, Any] = {"model_slug": "gpt-4o", "citations": [], "request_id": f"{draw.getrandbits(64):x}"}
    return {
        "id": name,
        "author": {"role": ("user", "assistant")[at % 2], "name": None, "metadata": {}},
        "create_time": began + 60 * at,
        "update_time": None,
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": metadata if at % 2 else {},
        "recipient": "all",
    }
