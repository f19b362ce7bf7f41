"""Questions that an owner asks of what was collected: answered by SQL over records, counted by code of its own."""

from __future__ import annotations

import json
import sqlite3
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.chatgpt.practice.archive import export_archive
from connectors.chatgpt.practice.options import ProviderOptions
from tests.support.connectors import context

from .conftest import TREES, Holder, members, skips

CONVERSATIONS = 40


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "export.zip"
    export_archive(ProviderOptions(conversations=CONVERSATIONS), path)
    return path


@pytest.fixture(scope="module")
def holder(export: Path) -> Holder:
    found = Holder(context({"archive": str(export)}, files=export.parent / "held"))
    found.run([*TREES, "files", "shared_conversations"])
    return found


@pytest.fixture(scope="module")
def database(holder: Holder) -> sqlite3.Connection:
    """One table of all records, as an export writes them."""
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE records (stream TEXT, data TEXT)")
    for stream in (*TREES, "files"):
        rows = ((stream, json.dumps(row)) for row in holder.held(stream).values())
        base.executemany("INSERT INTO records VALUES (?, ?)", rows)
    return base


def told(export: Path) -> list[dict[str, Any]]:
    """The export as the standard library reads it."""
    with zipfile.ZipFile(export) as archive:
        found: list[dict[str, Any]] = json.loads(archive.read("conversations.json"))
    return found


def said(export: Path) -> Iterator[dict[str, Any]]:
    return (node["message"] for one in told(export) for node in one["mapping"].values() if node["message"])


def test_records_and_members_are_as_many_as_a_script_of_its_own_counts(export: Path, holder: Holder) -> None:
    with zipfile.ZipFile(export) as archive:
        links = json.loads(archive.read("shared_conversations.json"))
        names = archive.namelist()

    assert len(holder.held("conversations")) == len(told(export)) == CONVERSATIONS
    assert len(holder.held("messages")) == sum(1 for _ in said(export))
    assert len(holder.held("shared_conversations")) == len(links)
    assert members(holder.sent).keys() == set(names)
    assert skips(holder.sent) == {}


def test_which_model_wrote_how_many_messages(export: Path, database: sqlite3.Connection) -> None:
    query = """SELECT data ->> 'model_slug', count(*) FROM records
               WHERE stream = 'messages' AND data ->> 'model_slug' IS NOT NULL GROUP BY 1"""

    counts: dict[str, int] = {}
    for message in said(export):
        slug = message["metadata"].get("model_slug")
        if slug:
            counts[slug] = counts.get(slug, 0) + 1
    assert dict(database.execute(query)) == counts


def test_all_files_that_the_owner_ever_uploaded(export: Path, database: sqlite3.Connection) -> None:
    query = """SELECT DISTINCT data ->> 'name', data ->> 'size_bytes' FROM records
               WHERE stream = 'files' AND data ->> 'origin' = 'uploaded' AND data ->> 'name' IS NOT NULL"""

    attached = {
        (one["name"], one["size"])
        for message in said(export)
        for one in message["metadata"].get("attachments", ())
        if message["author"]["role"] == "user"
    }
    assert set(database.execute(query)) == attached
    assert attached


def test_attachments_over_five_megabytes(export: Path, database: sqlite3.Connection) -> None:
    query = "SELECT count(*) FROM records WHERE stream = 'files' AND data ->> 'size_bytes' > 5000000"

    sizes = [one["size"] for message in said(export) for one in message["metadata"].get("attachments", ())]
    parts = [part for message in said(export) for part in message["content"].get("parts", ()) if isinstance(part, dict)]
    sizes += [part["size_bytes"] for part in parts if "asset_pointer" in part]
    assert database.execute(query).fetchone()[0] == sum(size > 5_000_000 for size in sizes) > 0


def test_a_conversation_as_one_text_without_hidden_and_tool_rows(export: Path, database: sqlite3.Connection) -> None:
    key = max(told(export), key=lambda one: len(one["mapping"]))["id"]
    query = """SELECT count(*) FROM records WHERE stream = 'messages' AND data ->> 'conversation_id' = ?
               AND data ->> 'on_current_branch' AND data ->> 'role' IN ('user', 'assistant')
               AND data -> 'extra' -> 'metadata' ->> 'is_visually_hidden_from_conversation' IS NULL"""

    one = next(one for one in told(export) if one["id"] == key)
    node, shown = one["current_node"], 0
    while node in one["mapping"]:
        message = one["mapping"][node]["message"]
        hidden = message and message["metadata"].get("is_visually_hidden_from_conversation")
        shown += bool(message and not hidden and message["author"]["role"] in ("user", "assistant"))
        node = one["mapping"][node]["parent"]
    assert database.execute(query, [key]).fetchone()[0] == shown > 2
