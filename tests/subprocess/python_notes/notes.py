"""Collects a folder of text files. Knows the Collection Profile and nothing of pdpp-worker."""

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")


def main() -> None:
    start = json.loads(sys.stdin.readline())
    folder = Path(os.environ["NOTES_DIR"])
    seen = ((start["state"] or {}).get("notes") or {}).get("mtime_ns", 0)
    newest, sent, broken = seen, 0, []
    for path in sorted(folder.glob("*.txt")):
        changed = path.stat().st_mtime_ns
        if changed <= seen:
            continue
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            broken.append(path.stem)
            continue
        data = {"id": path.stem, "text": text, "signed": os.environ["NOTES_SIGNATURE"]}
        say(type="RECORD", stream="notes", key=path.stem, data=data, emitted_at=datetime.now(UTC).isoformat())
        newest, sent = max(newest, changed), sent + 1
    for name in broken:
        say(type="DETAIL_GAP", stream="notes", record_key=name, reason="parse_failed")
    say(type="STATE", stream="notes", cursor={"mtime_ns": newest})
    sys.stderr.write(f"{sent} notes were read by {os.environ['NOTES_TOKEN']}\n")
    say(type="DONE", status="succeeded", records_emitted=sent)
    sys.stdout.flush()
    sys.stdin.read()


main()
