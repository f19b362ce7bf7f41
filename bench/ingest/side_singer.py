"""A Singer target: the same records as its messages, through Meltano's target for PostgreSQL."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.ingest.schema import SCHEMA

TABLE = "singer.messages"


def load(database_url: str, _redis_url: str, folder: str) -> None:
    """Load all records."""
    config = Path(folder) / "target.json"
    config.write_text(json.dumps({"sqlalchemy_url": database_url, "default_target_schema": "singer"}))
    command = [str(Path(sys.executable).with_name("target-postgres")), "--config", str(config)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as target:
        assert target.stdin is not None
        schema = {"type": "SCHEMA", "stream": "messages", "schema": SCHEMA, "key_properties": ["id"]}
        target.stdin.write(json.dumps(schema).encode() + b"\n")
        with (Path(folder) / "records.jsonl").open("rb") as file:
            for line in file:
                target.stdin.write(b'{"type":"RECORD","stream":"messages","record":' + line.rstrip() + b"}\n")
        target.stdin.close()
        if target.wait():
            raise subprocess.CalledProcessError(target.returncode, command)
