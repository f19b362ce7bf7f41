"""A count of a source that shares no code with the connector equals records, gaps and the inventory together."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections import Counter
from pathlib import Path

from pdpp_worker.connector import Inventory, Message, SkipResult
from tests.connectors.slack.account import ArchiveMaker, archived, file, said, stamp, thread
from tests.connectors.slack.conftest import Holder, gaps, settings
from tests.connectors.slack.exported import chunks, conversation, export, listed
from tests.support.connectors import context

DAY = 86_400


def counts(sent: list[Message]) -> Counter[str]:
    """The number of members, by disposition."""
    found: Counter[str] = Counter()
    for one in sent:
        for member in one.members if isinstance(one, Inventory) else ():
            found[member.disposition] += member.count or 0
    return found


def items_in_gaps(sent: list[Message]) -> int:
    """The number of items that gaps speak of."""
    return sum(int(one.message.split(": ")[1].split()[0]) for one in sent if isinstance(one, SkipResult))


def test_everything_in_an_export_is_held_or_named(tmp_path: Path) -> None:
    path = export(
        tmp_path / "export",
        {
            "C1=general": [said(stamp(at * 40_000), files=[file(f"F{at}")]) for at in range(20)],
            "C2=random": thread(stamp(DAY), stamp(DAY + 1), stamp(2 * DAY)),
        },
        groups=[listed("G1", "secret")],
        integration_logs=[{}],
        later=[{}, {}],
    )
    strange = [{"text": "no time"}, said(stamp(9 * DAY))]
    (path / "random" / "2026-01-10.json").write_text(json.dumps(strange))
    (path / "attachments").mkdir()
    (path / "attachments" / "F1-a.png").write_bytes(b"png")
    holder = Holder(context(settings(export=str(path))))

    sent = holder.run()

    days = [json.loads(one.read_text()) for one in path.glob("*/*.json")]
    assert sum(map(len, days)) == len(holder.held("messages")) + items_in_gaps(sent)
    conversations = [json.loads((path / name).read_text()) for name in ("channels.json", "groups.json")]
    assert sum(map(len, conversations)) == len(holder.held("channels"))
    assert len(json.loads((path / "users.json").read_text())) == len(holder.held("users"))
    assert sum(len(one.get("files", [])) for day in days for one in day) == len(holder.held("files"))
    found = counts(sent)
    assert sum(found.values()) == sum(one.is_file() for one in path.rglob("*"))
    assert (found["declared"], found["unknown"]) == (2, 1)


def test_everything_in_chunk_files_is_held_or_named(tmp_path: Path) -> None:
    talk = [*(said(stamp(at)) for at in range(7)), *thread(stamp(50), stamp(51))]
    path = chunks(tmp_path / "chunks", C1=conversation("C1", talk), C2=conversation("C2", talk[:2]), notes=[{"x": 1}])
    holder = Holder(context(settings(export=str(path))))

    sent = holder.run()

    times = {
        (one["id"], raw["ts"])
        for name in path.glob("C*.json.gz")
        for one in map(json.loads, gzip.decompress(name.read_bytes()).splitlines())
        for raw in one.get("m", [])
    }
    assert len(times) == len(holder.held("messages"))
    assert +counts(sent) == {"collected": 2, "unknown": 1}
    assert gaps(sent) == {}


def test_everything_in_an_archive_is_held_or_named(directory: Path, on_disk: Holder) -> None:
    maker: ArchiveMaker = archived(directory, {"C1": [said(stamp(at)) for at in range(9)], "C2": thread("1.1", "2.2")})
    maker.messages("C1", [said(stamp(at), "again") for at in range(5)])
    maker.execute("UPDATE MESSAGE SET DATA = X'7B' WHERE TS = ?", stamp(8))
    maker.files("C1", file("F1"), file("F2", mode="quip"))
    maker.members("C1", "U1", "U2")
    maker.execute("CREATE TABLE LATER (ID INTEGER)")
    maker.close()

    sent = on_disk.run()

    database = sqlite3.connect(maker.path)
    rows = {
        name: count(database, name)
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    }
    database.close()
    held = {stream: len(on_disk.held(stream)) for stream in ("messages", "channels", "users", "channel_memberships")}
    assert held == {
        "messages": rows["MESSAGE"] - len(gaps(sent)),
        "channels": rows["CHANNEL"],
        "users": rows["S_USER"],
        "channel_memberships": rows["CHANNEL_USER"],
    }
    assert len(on_disk.held("files")) + len(on_disk.held("canvases")) == rows["FILE"]
    named = {member.name for one in sent if isinstance(one, Inventory) for member in one.members}
    assert {name for name in rows if not name.startswith("sqlite")} <= named


def count(database: sqlite3.Connection, table: str) -> int:
    """The number of different things in a table: of one that is kept in several versions, one."""
    keys = {"MESSAGE": "ID || CHANNEL_ID", "CHANNEL_USER": "CHANNEL_ID || USER_ID"}.get(table, "ID")
    return int(database.execute(f"SELECT count(DISTINCT {keys}) FROM {table}").fetchone()[0])  # noqa: S608
