"""Connectors that know the Collection Profile and nothing of this program: one in Python, one in Node."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.subprocess.conftest import HERE, Commands

PAGES = [[{"id": f"n{page}-{number}", "text": "…"} for number in range(3)] for page in range(4)]


class Notebook(ThreadingHTTPServer):
    """Serves pages of notes; `broken` fails with this page."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.asked: list[int] = []
        self.broken: int | None = None


class _Page(BaseHTTPRequestHandler):
    server: Notebook

    def do_GET(self) -> None:
        page = int(self.path.rpartition("/")[2])
        self.server.asked.append(page)
        status = 404 if page >= len(PAGES) else 500 if page == self.server.broken else 200
        body = json.dumps(PAGES[page] if status == 200 else {}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The test's output is not the place."""


@pytest.fixture
def notebook(commands: Commands) -> Iterator[Notebook]:
    """A notebook, and a connection that collects it."""
    if shutil.which("node") is None:
        pytest.skip("Node.js is not installed (on Debian and Ubuntu: apt install nodejs)")
    with Notebook() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        commands.use(HERE / "node_notes")
        commands.configure(settings=json.dumps({"base_url": f"http://127.0.0.1:{server.server_port}"}))
        yield server
        server.shutdown()


def test_a_connector_in_python_without_our_package(
    commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.txt").write_text(f"note {name}")
    (tmp_path / "broken.txt").write_bytes(b"\xff")
    monkeypatch.setenv("MY_TOKEN", "the-owner-s-token")
    commands.use(HERE / "python_notes")
    commands.configure(credentials='{"token": "env:MY_TOKEN"}', settings=json.dumps({"folder": str(tmp_path)}))

    with capture_logs() as logs:
        first = commands.run()
    (tmp_path / "d.txt").write_text("note d")
    second = commands.run()

    assert (first["status"], first["records_flushed"]) == ("partially_completed", 3)
    assert commands.held("notes")["b"] == {"id": "b", "text": "note b", "signed": "nobody"}
    assert [(gap["scope"], gap["reason"]) for gap in commands.gaps()] == [({"resource_id": "broken"}, "parse_failed")]
    assert second["records_emitted"] == 1
    assert "3 notes were read by [secret]" in [entry.get("line") for entry in logs]


def test_a_connector_in_node(commands: Commands, notebook: Notebook) -> None:
    run = commands.run()

    assert (run["status"], run["records_flushed"]) == ("succeeded", 12)
    assert commands.cursors() == {"notes": '{"page":4}'}


def test_one_that_commits_as_it_goes_goes_on_where_it_failed(commands: Commands, notebook: Notebook) -> None:
    notebook.broken = 2
    failed = commands.run()
    notebook.broken = None
    notebook.asked.clear()
    second = commands.run()

    assert (failed["status"], failed["error"]) == ("partially_completed", "the notebook answered 500")
    assert (second["status"], notebook.asked) == ("succeeded", [2, 3, 4])
    assert len(commands.held("notes")) == 12
