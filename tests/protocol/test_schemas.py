"""A schema reaches nothing: what it refers to is in it, or it is refused."""

from __future__ import annotations

import ast
import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.manifest import load_manifest
from pdpp_worker.protocol.schemas import validator_for

ROOT = Path(__file__).parents[2]


class _Listener(BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"type": "object"}')


def test_a_reference_is_never_fetched_from_the_network() -> None:
    _Listener.asked = []
    server = HTTPServer(("127.0.0.1", 0), _Listener)
    Thread(target=server.serve_forever, daemon=True).start()

    with pytest.raises(ValueError, match="disabled"):
        validator_for({"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"})
    server.shutdown()
    server.server_close()

    assert _Listener.asked == []


def test_a_reference_is_never_read_from_the_disk(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text('{"type": "object"}')

    with pytest.raises(ValueError, match="disabled"):
        validator_for({"$ref": (tmp_path / "schema.json").as_uri()})


def test_a_reference_within_the_schema_is_followed() -> None:
    found = validator_for({"$defs": {"n": {"type": "integer"}}, "properties": {"n": {"$ref": "#/$defs/n"}}})

    assert not found.is_valid({"n": "text"})


def test_a_manifest_that_refers_to_another_document_is_refused_in_a_sentence(tmp_path: Path) -> None:
    schema = {"$ref": "http://127.0.0.1:9/schema.json"}
    manifest = {"name": "refd", "version": "1.0.0", "title": "R", "command": ["true"]}
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps({**manifest, "streams": [{"name": "items", "schema": schema}]}))

    with pytest.raises(ConfigurationError, match="schema is not a JSON Schema"):
        load_manifest(path)


def test_every_schema_is_compiled_in_one_place() -> None:
    files = [path for path in ROOT.glob("pdpp_worker/**/*.py") if "validator_for" in _called(path)]

    assert [path.name for path in files] == ["schemas.py"]


def _called(path: Path) -> set[str]:
    """The functions of the library that a file calls."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    of_library = [one for one in calls if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name)]
    return {one.attr for one in of_library if isinstance(one.value, ast.Name) and one.value.id == "jsonschema_rs"}
