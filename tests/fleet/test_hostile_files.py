"""Everything hostile at once, in one worker: each thing costs itself, and another connection goes on collecting.

`PDPP_HOSTILE=1` adds what takes minutes (`make hostile`).
"""

from __future__ import annotations

import json
import os
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from redis import Redis
from sqlalchemy import text

from pdpp_worker import registry
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, runs
from pdpp_worker.store.engine import Database
from tests.connectors.slack.account import archived, said, stamp
from tests.connectors.usaa.papers import export, line
from tests.connectors.usaa.test_hostile_files import SLOW, made_of, page_of
from tests.support import waiting
from tests.support.fleet import Member, beat, worker
from tests.support.logs import write_session
from tests.support.waiting import until

MOST_MEMORY_KB = 400_000
EVERYTHING = os.environ.get("PDPP_HOSTILE") == "1"
MIB = 1 << 20


class Case(NamedTuple):
    """A connection, and the words by which a gap of it names its file."""

    connector: str
    settings: dict[str, Any]
    named: str


def _packed(piece: bytes, times: int) -> bytes:
    packer = zlib.compressobj(1)
    return b"".join(packer.compress(piece) for _ in range(times)) + packer.flush()


def pdfs(place: Path) -> Case:
    """A page, and a stream of objects, that unpack to 450 MB, beside what can be read."""
    packed = _packed(b" " * MIB, 450)
    (place / "blanks.pdf").write_bytes(page_of(packed))
    head = b"<</Type/ObjStm/N 100000000/First 10/Length %d/Filter/FlateDecode>>stream\n%b\nendstream"
    objects = head % (len(packed), packed)
    (place / "objects.pdf").write_bytes(made_of(b"<</Type/Catalog/Pages 2 0 R/X 3 0 R>>", b"<</Type/Pages>>", objects))
    (place / "rows.csv").write_bytes(export(line("01/05/2026", "GROCERY #12", "-4.50")))
    if EVERYTHING:
        (place / "slow.pdf").write_bytes(SLOW.read_bytes())
    return Case("usaa", {"inbox": str(place)}, "blanks.pdf")


def database(place: Path) -> Case:
    """A table whose values are 900 MB each, made as they are read."""
    maker = archived(place, {"C1": [said(stamp(1))]})
    maker.execute("DROP TABLE MESSAGE")
    columns = "ID INT, CHUNK_ID INT, CHANNEL_ID TEXT, TS TEXT, PARENT_ID INT"
    maker.execute(f"CREATE TABLE MESSAGE({columns}, DATA AS (zeroblob(900000000)))")
    maker.execute("INSERT INTO MESSAGE(ID, CHUNK_ID, CHANNEL_ID, TS) VALUES (1, 1, 'C1', '1.0')")
    maker.close()
    return Case("slack", {"archive": str(place), "run_slackdump": False}, "MESSAGE")


def archive(place: Path) -> Case:
    """A zip of strings."""
    path = place / "strings.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("conversations.json", "w") as member:
        member.write(b"[")
        for _ in range(32):
            member.write(b'"a",' * (MIB // 4))
    return Case("chatgpt", {"archive": str(path)}, "strings.zip")


def mails(place: Path) -> Case:
    """Mails of 100,000 parts, of parts within parts without end, and of HTML that nests."""
    head = b"From: a@example.org\r\nSubject: x\r\nMessage-ID: <%s@x>\r\nMIME-Version: 1.0\r\n"
    many = b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n" * 100_000
    (place / "many.eml").write_bytes(
        head % b"1" + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + many + b"--b--"
    )
    deep = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(20_000))
    (place / "deep.eml").write_bytes(head % b"2" + deep)
    html = b"Content-Type: text/html\r\n\r\n" + b"<div>" * MIB
    (place / "html.eml").write_bytes(head % b"3" + html)
    (place / "good.eml").write_bytes(head % b"4" + b"\r\nhello")
    return Case("gmail", {"mail_path": str(place)}, "more than 2000 parts")


CASES: list[Callable[[Path], Case]] = [pdfs, database, archive, mails]
EVIL = """
import os, sys, time
sys.stdin.readline()
if os.fork() == 0:  # a helper that holds the pipes
    time.sleep(600)
if os.fork() == 0:  # one that multiplies, up to 64
    for _ in range(6):
        os.fork()
    time.sleep(600)
for _ in range(2_000):
    os.write(2, b"E" * 1000 + b"\\n")
for _ in range(400):
    os.write(1, b"x" * 65536)
os._exit(1)
"""


def program(place: Path) -> Case:
    """A program that floods, multiplies, holds its pipes and never ends its line."""
    folder = place / "evil"
    folder.mkdir()
    folder.joinpath("evil.py").write_text(EVIL)
    manifest = {"name": "evil", "version": "1.0", "title": "Evil", "command": ["{python}", "evil.py"]}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "streams": [{"name": "items"}]}))
    return Case("evil", {}, "")


def add(db: Database, name: str, case: Case) -> None:
    """A connection with a run that is due."""
    streams = [{"name": "items"}]
    if case.connector != "evil":
        manifest = registry.get(case.connector).manifest
        streams = [{"name": one.name} for one in manifest.supplied_to(case.settings)]
    with db.begin() as connection:
        connection_id = connections.add(connection, name, case.connector, case.settings, {})
        runs.create(connection, connection_id, trigger="manual", streams=streams, version="1.0.0")


def test_each_hostile_thing_costs_itself_and_others_go_on(
    settings: Settings, db: Database, redis: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if EVERYTHING:  # each PDF may take two minutes, one after the other
        monkeypatch.setattr(waiting, "PATIENCE_S", 900)
    cases = {}
    for make in (*CASES, program):
        place = tmp_path / make.__name__
        place.mkdir()
        cases[make.__name__] = make(place)
        add(db, make.__name__, cases[make.__name__])
    write_session(tmp_path / "projects", 1, 50)
    (tmp_path / "home").mkdir()
    logs = {"projects_dir": str(tmp_path / "projects"), "claude_dir": str(tmp_path / "home")}
    for broken in (b"no message", b"{}", b'{"body": "gASVCAAAAAAAAACMBGV4ZWOULg==", "properties": {}}'):
        redis.lpush("collect", broken)
    settings = settings.model_copy(update={"gap_backoff_s": 600.0})
    extra = {"PDPP_CONNECTORS_DIR": str(tmp_path / "program")}

    with worker(settings, tmp_path, **extra) as member, beat(settings, tmp_path) as clock:
        until(lambda: len(rows(db, "SELECT id FROM runs WHERE started_at IS NOT NULL")) >= 3, member, clock)
        add(db, "logs", Case("claude_code", logs, ""))
        until(lambda: statuses(db)["logs"] == "succeeded", member, clock)
        until(lambda: not set(statuses(db).values()) & {"queued", "running"}, member, clock)
        peak = peak_kb(member)

    assert peak < MOST_MEMORY_KB
    for name, case in cases.items():
        assert statuses(db)[name] in ("failed", "partially_completed"), name
        assert case.named in told(db, name), (name, told(db, name))
    assert len(rows(db, "SELECT key FROM records WHERE stream = 'transactions'")) == 1
    assert len(rows(db, "SELECT key FROM records WHERE stream = 'messages' AND data ->> 'subject' = 'x'")) >= 1


def rows(db: Database, query: str, **values: Any) -> list[Any]:
    """The first column of a query."""
    with db.begin() as connection:
        return [row[0] for row in connection.execute(text(query), values)]


def statuses(db: Database) -> dict[str, str]:
    """Connection to the status of its run."""
    query = "SELECT name, status FROM runs JOIN connections ON connections.id = connection_id"
    with db.begin() as connection:
        return {row.name: row.status for row in connection.execute(text(query))}


def told(db: Database, name: str) -> str:
    """The sentences of a connection's gaps."""
    query = """
        SELECT concat_ws(' ', last_error, scope, detail_locator) FROM gaps
        JOIN connections ON connections.id = connection_id WHERE name = :name
    """
    return "\n".join(rows(db, query, name=name))


def peak_kb(member: Member) -> int:
    """The most memory that a worker has had."""
    status = Path(f"/proc/{member.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])
