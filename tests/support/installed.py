"""Connectors that are installed as packages of their own: a directory of packages for `PYTHONPATH`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.fleet import ROOT

HANGS = """
import threading

def collect(start, context):
    threading.Event().wait()
    yield
"""
SENDS_ONE = """
from datetime import UTC, datetime
from pdpp_worker.connector import Record

def collect(start, context):
    yield Record(stream="items", key="a", data={"id": "a"}, emitted_at=datetime.now(UTC))
"""


def install(site: Path, name: str, code: str, manifest: str | None = None) -> str:
    """Install a connector of one stream, `items`, into `site`; returns the PYTHONPATH with which it is there."""
    package = site / f"{name}_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "connector.py").write_text(code)
    declared = {"name": name, "version": "1.0.0", "title": name, "checkpoint_commit": "incremental"}
    (package / "manifest.json").write_text(manifest or json.dumps({**declared, "streams": [{"name": "items"}]}))
    about = site / f"{name}_package-1.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}_package\nVersion: 1.0.0\n")
    (about / "entry_points.txt").write_text(f"[pdpp.connectors]\n{name} = {name}_package\n")
    return f"{site}:{ROOT}"
