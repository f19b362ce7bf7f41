"""The row of the table: logs of Claude Code."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

import orjson

from bench import peers
from bench.alone import measure
from bench.sources import measured
from bench.table import Ground, Way, skipped

_MB = 300
_FILES = 400
_WORDS = ("test", "garden", "übermorgen", "日本", "merge", "return", "invoice", "def", "café", "queue", "\n")


def logs(ground: Ground) -> Iterator[Way]:
    """Logs of 300 MB in 400 files beside orjson and COPY, DuckDB, and ccusage where they could be installed."""
    size, home = ground.size(_MB), ground.folder / "claude"
    write(home, size * 1_000_000)
    job = f"Claude Code logs, {size} MB"
    yield from measured(ground, job, "claude_code", {"claude_dir": str(home)}, home, {"orjson + COPY": PEER})
    for number in range(ground.rounds):
        yield _duckdb(job, number, home)
        yield _ccusage(job, number, home)


PEER = "bench.logs.copy_peer"


def write(home: Path, size: int) -> None:
    """Write so many bytes of transcripts; the same each time."""
    draw = Random(1)
    for number in range(_FILES):
        session = f"{number:08x}-0000-4000-8000-{draw.getrandbits(48):012x}"
        path = home / "projects" / f"-home-owner-project-{number % 12}" / f"{session}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            at = 0
            while file.tell() < size // _FILES:
                file.write(orjson.dumps(_line(draw, session, number, at)) + b"\n")
                at += 1


def _line(draw: Random, session: str, number: int, at: int) -> Mapping[str, Any]:
    kind = ("user", "assistant")[at % 2]
    text = " ".join(draw.choices(_WORDS, k=draw.randrange(20, 600)))
    body: dict[str, Any] = {"role": kind, "content": [{"type": "text", "text": text}]}
    if kind == "assistant":
        usage = {"input_tokens": draw.randrange(9000), "output_tokens": draw.randrange(900)}
        body |= {"id": f"msg_{draw.getrandbits(64):x}", "model": "claude-sample", "usage": usage}
    day, second = number % 28 + 1, at % 86_400
    return {
        "parentUuid": f"{draw.getrandbits(128):032x}",
        "isSidechain": False,
        "userType": "external",
        "cwd": f"/home/owner/project-{number % 12}",
        "sessionId": session,
        "version": "2.0.14",
        "gitBranch": "main",
        "type": kind,
        "message": body,
        "requestId": f"req_{draw.getrandbits(64):x}",
        "uuid": f"{draw.getrandbits(128):032x}",
        "timestamp": f"2026-03-{day:02}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z",
    }


def _duckdb(job: str, number: int, home: Path) -> Way:
    if not peers.are_installed():
        return skipped(job, "DuckDB", peers.MISSING)
    taken = measure("bench.logs.duckdb_peer", str(home), python=str(peers.PYTHON))
    return Way(job, "DuckDB", number, taken.seconds, taken.cpu_s, taken.peak_rss, "tokens by day; keeps nothing")


def _ccusage(job: str, number: int, home: Path) -> Way:
    if not peers.CCUSAGE.exists():
        return skipped(job, "ccusage", "it is not installed")
    command = [str(peers.CCUSAGE), "daily", "--offline", "--json"]
    began = time.perf_counter()
    environment = {**os.environ, "CLAUDE_CONFIG_DIR": str(home)}
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return Way(job, "ccusage", number, time.perf_counter() - began, note="tokens by day; keeps nothing")
