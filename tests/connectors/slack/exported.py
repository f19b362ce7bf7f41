"""Exports of a made-up workspace: as Slack makes them, and slackdump's chunk files."""

from __future__ import annotations

import gzip
import json
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.connectors.slack.account import OWNER, Obj, user

PEOPLE = [user(OWNER), user("U0OTHER")]


def listed(key: str, name: str, *members: str) -> Obj:
    """A conversation as an export lists it."""
    return {"id": key, "name": name, "created": 1_767_000_000, "members": list(members)}


def export(folder: Path, channels: dict[str, list[Obj]], **files: Any) -> Path:
    """An export in a folder: channel (id or `id=name`) to its messages; further files by their stems."""
    lists = [listed(key, name or key.lower(), OWNER) for key, _, name in (one.partition("=") for one in channels)]
    _write(folder / "users.json", PEOPLE)
    _write(folder / "channels.json", lists)
    for stem, content in files.items():
        _write(folder / f"{stem}.json", content)
    for raw, messages in zip(lists, channels.values(), strict=True):
        days(folder / raw["name"], messages)
    return folder


def days(folder: Path, messages: list[Obj]) -> None:
    """Messages in a file for each day."""
    found: defaultdict[str, list[Obj]] = defaultdict(list)
    for one in messages:
        found[datetime.fromtimestamp(float(one["ts"]), UTC).date().isoformat()].append(one)
    for day, said in found.items():
        _write(folder / f"{day}.json", said)


def zipped(folder: Path, target: Path, prefix: str = "") -> Path:
    """The folder as a zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for path in sorted(folder.rglob("*.*")):
            file.write(path, prefix + path.relative_to(folder).as_posix())
    return target


def chunks(folder: Path, **files: list[Obj]) -> Path:
    """slackdump's chunk files by their names without the end, which may have `__` for a hyphen."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in files.items():
        text = "".join(json.dumps(one) + "\n" for one in lines)
        (folder / f"{name.replace('__', '-')}.json.gz").write_bytes(gzip.compress(text.encode()))
    return folder


def conversation(key: str, messages: list[Obj], *, last: bool = True) -> list[Obj]:
    """The lines of one channel's chunk file, each thread in an answer of its own."""
    top = [one for one in messages if one.get("thread_ts") in (None, one["ts"])]
    found: list[Obj] = [{"t": 5, "id": key, "ci": {"id": key, "name": key.lower()}}]
    found.append({"t": 0, "id": key, "n": len(top), "l": last, "m": top})
    for parent in (one for one in top if one.get("reply_count")):
        replies = [one for one in messages if one.get("thread_ts") == parent["ts"] != one["ts"]]
        found.append({"t": 1, "id": key, "r": parent["ts"], "l": True, "p": parent, "m": replies})
    return found


def _write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
