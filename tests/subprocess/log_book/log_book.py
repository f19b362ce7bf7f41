"""Collects a folder of logs as connectors of the profile do. Knows nothing of pdpp-worker.

A log is a file of lines `NUMBER TEXT`. A line that cannot be read is skipped with a word and a sentence, and no scope.
"""

import json
import os
import sys
from pathlib import Path

SENT = {"RECORD": 0, "logs": 0}
KEYS: dict[str, list[str]] = {"required_keys": [], "hydrated_keys": []}


def say(kind: str, **message: object) -> None:
    SENT[kind] = SENT.get(kind, 0) + 1
    sys.stdout.write(json.dumps({"type": kind, **message}) + "\n")


def record(stream: str, key: str, **data: object) -> None:
    SENT[stream] = SENT.get(stream, 0) + 1
    say("RECORD", stream=stream, key=key, data={"id": key, **data}, emitted_at="2026-03-02T08:00:00.000Z")


def read(path: Path, seen: int) -> int:
    """Send the lines of a log beyond the last one that was sent; returns the last number."""
    last = seen
    for line in path.read_text().splitlines():
        key, _, text = line.partition(" ")
        if int(key) <= seen:
            continue
        last = max(last, int(key))
        if text:
            record("lines", key, text=text)
        else:
            say("SKIP_RESULT", stream="lines", reason="shape_check_failed", message=f"{key}: text: required")
    return last


def main() -> None:
    start = json.loads(sys.stdin.readline())
    with (Path(os.environ["PDPP_CONNECTOR_ARTIFACT_ROOT"]) / "starts").open("a") as file:
        file.write(json.dumps(start) + "\n")
    folder = Path(os.environ["LOG_BOOK_DIR"])
    if not folder.is_dir():
        say("SKIP_RESULT", stream="lines", reason="folder_not_found", message="The folder is not there")
    else:
        last = seen = (start["state"] or {}).get("lines", {}).get("last", 0)
        for path in sorted(folder.glob("*.log")):
            try:
                last = max(last, read(path, seen))
            except ValueError:
                say("SKIP_RESULT", stream="lines", reason="log_damaged", message="A log is damaged")
            if path.stem != "silent":
                record("logs", path.stem)
        total = len(list(folder.glob("*.log")))
        totals = {"considered": total, "covered": SENT["logs"]}
        say("DETAIL_COVERAGE", reference_only=True, stream="logs", state_stream="logs", **KEYS, **totals)
        say("STATE", stream="lines", cursor={"last": last})
    if (folder / "broken").exists():
        sys.exit("The program is broken")
    say("DONE", status="succeeded", records_emitted=SENT["RECORD"])
    sys.stdout.flush()
    sys.stdin.read()


main()
