"""Blobs of a run: taken with its token alone, kept once, bounded, and nothing else is served."""

from __future__ import annotations

import hashlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from pdpp_worker.command.blob_server import BlobServer
from pdpp_worker.command.blob_store import FOLDER, BlobStore
from pdpp_worker.command.unkept_blobs import UnkeptBlobs
from pdpp_worker.stored_files.file_forms import unfinished_in
from pdpp_worker.stored_files.file_store import FileStore
from pdpp_worker.stored_files.quota import Quota
from tests.support.connectors import start

QUERY = {
    "connector_id": "post-box",
    "connector_instance_id": "7",
    "stream": "scans",
    "record_key": "L-1",
    "mime_type": "image/png",
    "json_path": "@record",
}


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BlobServer]:
    """An endpoint that takes blobs of up to 100 bytes, and 16 KB of files in all, with their folders."""
    bound = Quota(tmp_path, most_mb=0, free_mb=0)
    monkeypatch.setattr(bound, "_most", 16 * 1024)
    store = BlobStore(FileStore(tmp_path, quota=bound), blob_bytes=100)
    with BlobServer(
        store, UnkeptBlobs(start(["scans"])), connector_id="post-box", connection_id="7", streams=["scans"]
    ).serving() as one:
        yield one


def upload(
    server: BlobServer,
    body: bytes = b"pixels",
    *,
    path: str = "/v1/blobs",
    token: str | None = "",
    chunked: bool = True,
    **query: str | None,
) -> tuple[int, dict[str, Any]]:
    """Upload as a client does; the token is the run's if it is empty."""
    client = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    asked = {name: value for name, value in {**QUERY, **query}.items() if value is not None}
    headers = {"content-type": "application/octet-stream"}
    if token is not None:
        headers["authorization"] = f"Bearer {token or server.token}"
    sent = iter([body[:3], body[3:]]) if chunked else body
    client.request("POST", f"{path}?{urlencode(asked)}", sent, headers, encode_chunked=chunked)
    answer = client.getresponse()
    found = answer.status, json.loads(answer.read())
    client.close()
    return found


@pytest.mark.parametrize("chunked", [True, False])
def test_a_blob_is_kept_under_the_hash_of_its_content(server: BlobServer, tmp_path: Path, chunked: bool) -> None:
    status, body = upload(server, chunked=chunked)

    digest = hashlib.sha256(b"pixels").hexdigest()
    assert status == 200
    assert body == {
        "object": "blob",
        "blob_id": f"blob_{digest}",
        "mime_type": "image/png",
        "sha256": digest,
        "size_bytes": 6,
    }
    [kept] = [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]
    assert (kept.name, kept.read_bytes()) == (digest, b"pixels")


def test_the_same_bytes_are_the_same_blob(server: BlobServer, tmp_path: Path) -> None:
    first, second = upload(server)[1], upload(server, record_key="L-2")[1]

    assert first["blob_id"] == second["blob_id"]
    assert len([path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()]) == 1


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"token": None}, 401),
        ({"token": "another"}, 403),
        ({"connector_instance_id": "8"}, 403),
        ({"stream": "elsewhere"}, 404),
        ({"path": "/v1/records"}, 404),
        ({"record_key": None}, 400),
        ({"json_path": "data.image"}, 400),
        ({"body": b"x" * 101}, 400),
    ],
)
def test_what_is_not_an_upload_of_this_run_is_refused_and_nothing_kept(
    server: BlobServer, tmp_path: Path, changed: dict[str, Any], status: int
) -> None:
    assert upload(server, **changed)[0] == status
    assert [path for path in (tmp_path / FOLDER).rglob("*") if path.is_file()] == []


def test_what_is_beyond_the_room_of_its_connection_is_refused(server: BlobServer) -> None:
    answers = [upload(server, bytes([number]) * 100) for number in range(6)]

    assert {status for status, _ in answers[:2]} == {200}
    assert answers[-1][0] == 507
    assert "PDPP_CONNECTION_FILES_MB" in answers[-1][1]["error"]["message"]


def test_what_a_killed_run_left_of_a_blob_is_removed(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    left = unfinished_in(tmp_path / FOLDER)
    left.write_bytes(b"x")

    BlobStore(FileStore(tmp_path))

    assert not left.exists()


def test_mime_type_and_place_in_the_record_may_be_left_out(server: BlobServer) -> None:
    status, body = upload(server, mime_type=None, json_path=None)

    assert (status, body["mime_type"]) == (200, "application/octet-stream")
