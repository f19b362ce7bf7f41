"""Two taps that others wrote and publish, against servers of this machine: GitHub's over HTTP, and PostgreSQL's."""

from __future__ import annotations

import json
import os
import pwd
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import create_engine, text

from pdpp_worker.settings import get_settings
from pdpp_worker.singer.describe import discover
from tests.cli.conftest import Cli
from tests.singer.conftest import Taps, real_tap

OWNER = {"login": "owner", "id": 7}


def issue(number: int) -> dict[str, Any]:
    changed = f"2026-01-0{number}T00:00:00Z"
    common = {
        "state": "open",
        "comments": 0,
        "user": OWNER,
        "type": None,
        "body": "…",
        "labels": [],
        "assignees": [],
        "created_at": changed,
        "updated_at": changed,
    }
    return {**common, "id": number, "node_id": f"I{number}", "number": number, "title": f"issue {number}"}


class Forge(ThreadingHTTPServer):
    """As much of GitHub as one repository and its issues; `broken` fails the issues."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.issues = [issue(1), issue(2), issue(3)]
        self.broken = False
        self.since: list[str] = []


class _Answer(BaseHTTPRequestHandler):
    server: Forge

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/repos/owner/notes":
            common = {"updated_at": "2026-01-01T00:00:00Z", "created_at": "2020-01-01T00:00:00Z", "owner": OWNER}
            self._send({**common, "id": 1, "node_id": "R1", "name": "notes", "full_name": "owner/notes"})
        elif self.server.broken:
            self._send({"message": "no longer here"}, status=410)
        else:
            since = parse_qs(url.query)["since"][0]
            self.server.since.append(since)
            self._send([one for one in self.server.issues if one["updated_at"] >= since.replace("+00:00", "Z")])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        found = {"repo0": {"nameWithOwner": "owner/notes", "databaseId": 1}, "rateLimit": {"cost": 1}}
        self._send({"data": found})

    def log_message(self, *_: object) -> None:
        """The test's output is not the place."""

    def _send(self, content: Any, status: int = 200) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def forge() -> Iterator[Forge]:
    """A server that the tap takes for GitHub."""
    with Forge() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def configuration(forge: Forge) -> dict[str, Any]:
    """Without a token: with one, the tap asks GitHub itself how much of its rate is left."""
    return {
        "repositories": ["owner/notes"],
        "start_date": "2020-01-01T00:00:00Z",
        "api_url_base": f"http://127.0.0.1:{forge.server_port}",
    }


def use_github(taps: Taps, forge: Forge, tmp_path: Path) -> None:
    """Let the connection be one of GitHub's tap."""
    tap, config = real_tap("tap-github"), configuration(forge)
    (tmp_path / "config.json").write_text(json.dumps(config))
    catalog = discover(tap, tmp_path / "config.json")
    taps.connect([tap], config, catalog, ["repositories", "issues"])


def test_github_is_collected_and_goes_on_where_it_was(taps: Taps, forge: Forge, tmp_path: Path) -> None:
    use_github(taps, forge, tmp_path)
    first = taps.run()
    forge.issues.append(issue(4))
    second = taps.run()

    assert (first["status"], second["status"]) == ("succeeded", "succeeded")
    assert set(taps.held("issues")) == {"1", "2", "3", "4"}
    assert set(taps.held("repositories")) == {"1"}
    assert [since[:10] for since in forge.since] == ["2020-01-01", "2026-01-03"]


def test_github_failing_half_way_is_said_and_made_good_later(taps: Taps, forge: Forge, tmp_path: Path) -> None:
    use_github(taps, forge, tmp_path)
    forge.broken = True
    first = taps.run()
    forge.broken = False
    second = taps.run()

    assert first["status"] in ("partially_completed", "failed")
    assert {gap["stream"] for gap in taps.gaps()} == {"issues", "repositories"}
    assert second["status"] == "succeeded"
    assert {gap["status"] for gap in taps.gaps()} == {"recovered"}
    assert set(taps.held("issues")) == {"1", "2", "3"}


def test_a_table_of_postgresql_is_collected(
    taps: Taps, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = real_tap("tap-postgres")
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("CREATE SCHEMA shop"))
        connection.execute(
            text("CREATE TABLE shop.orders (id int PRIMARY KEY, title text, price numeric(10, 2), at timestamptz)")
        )
        connection.execute(
            text("INSERT INTO shop.orders SELECT n, 'order ' || n, n * 1.1, now() FROM generate_series(1, 500) AS n")
        )
    engine.dispose()
    # The tap insists on a host and a password; the server answers on its socket and asks for none.
    url = database_url.replace("postgresql+psycopg://pdpp@", "postgresql+psycopg2://pdpp:unasked@localhost:5432")
    config = {"sqlalchemy_url": url, "filter_schemas": ["shop"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    monkeypatch.setenv("SHOP_URL", url)
    # Nobody else can reach the fleet's own server, and the tap is to read it.
    monkeypatch.setenv("PDPP_CONNECTOR_USER", pwd.getpwuid(os.geteuid()).pw_name)
    get_settings.cache_clear()
    catalog = discover(tap, tmp_path / "config.json")
    taps.connect([tap], config, catalog, ["shop-orders"], sqlalchemy_url="env:SHOP_URL")

    run = taps.run()

    assert (run["status"], run["records_flushed"]) == ("succeeded", 500)
    assert taps.held("shop_orders")["7"]["title"] == "order 7"
    assert float(taps.held("shop_orders")["7"]["price"]) == 7.7


def test_a_tap_becomes_a_connector_by_one_command(
    cli: Cli, forge: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tap = real_tap("tap-github")
    monkeypatch.setenv("PDPP_CONNECTORS_DIR", str(tmp_path / "connectors"))
    (tmp_path / "config.json").write_text(json.dumps({**configuration(forge), "auth_token": "ghp_secret"}))
    command = ("connector", "singer", tap, "--config", str(tmp_path / "config.json"), "--stream", "issues")

    said = cli.ok(*command)
    again = cli.refusal(*command)
    listed = {one["name"]: one for one in cli.json("connectors")}

    assert "Made the connector tap_github of 1 streams; credentials: auth_token." in said
    assert "--replace" in again
    assert [one["name"] for one in listed["tap_github"]["streams"]] == ["issues"]
    written = "".join(path.read_text() for path in (tmp_path / "connectors" / "tap_github").iterdir())
    assert "ghp_secret" not in written
