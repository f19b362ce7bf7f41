"""A Singer tap, as old ones are: two streams, and it misbehaves as its configuration says."""

import argparse
import json
import os
import stat
import sys
from pathlib import Path

CATALOG = {
    "streams": [
        {
            "stream": name,
            "tap_stream_id": f"Main-{name}",
            "key_properties": ["id"],
            "schema": {
                "type": "object",
                "properties": {"id": {"type": "integer"}, "text": {"type": ["null", "string"]}},
                "multipleOf": 0.1,
            },
            "metadata": [{"breadcrumb": [], "metadata": {"selected-by-default": True}}],
        }
        for name in ("letters", "numbers", "silent")
    ]
}


def say(**message: object) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def schema(name: str, keys: object = ("id",)) -> None:
    say(type="SCHEMA", stream=name, schema={}, key_properties=keys)


def rows(name: str, first: int, count: int, **fields: object) -> None:
    for number in range(first, first + count):
        say(type="RECORD", stream=name, record={"id": number, "text": f"{name} {number}", **fields})


def last_word(how: object) -> None:
    if how == "breaks schema":
        say(type="RECORD", stream="letters", record={"id": "no integer"})
    if how == "exact":
        sys.stdout.write(
            '{"type": "RECORD", "stream": "letters", "record": {"id": 0, "x": 12345678901234567890.123456789}}\n'
        )
    if how == "deletes":
        say(type="RECORD", stream="letters", record={"id": 0, "_sdc_deleted_at": "2026-01-01T00:00:00Z"})
    if how == "activates":
        say(type="ACTIVATE_VERSION", stream="letters", version=1)
    if how == "naive time":
        say(type="RECORD", stream="letters", record={"id": 0}, time_extracted="2026-01-01T00:00:00")
    if how == "wordy state":
        say(type="STATE", value="some words")
    if how == "batches":
        say(type="BATCH", stream="letters", manifest=["file:///elsewhere"])


def sync(config: dict[str, object], state: dict[str, dict[str, int]], selected: set[str]) -> None:
    how = Path(str(config["how_file"])).read_text() if "how_file" in config else config.get("how", "well")
    bookmarks = dict(state.get("bookmarks", {}))
    for name in ("letters", "numbers"):
        stream = f"Main-{name}"
        if stream not in selected:
            continue
        say(type="STATE", value={**state, "bookmarks": bookmarks, "currently_syncing": stream})
        schema(name, {"keyless": (), "one key": "id"}.get(str(how), ("id",)))
        rows(name, bookmarks.get(stream, 0), 3)
        if name == "numbers" and how == "dies":
            sys.exit(7)
        if name == "numbers" and how == "babbles":
            sys.stdout.write("Traceback: no JSON\n")
        bookmarks[stream] = bookmarks.get(stream, 0) + 3
        say(type="STATE", value={**state, "bookmarks": dict(bookmarks), "currently_syncing": stream})
    if how == "strays":
        schema("uninvited")
        rows("uninvited", 0, 1)
    last_word(how)
    say(type="STATE", value={**state, "bookmarks": bookmarks, "seen_at": "2026"})


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("age", nargs="?")
    parser.add_argument("--properties" if "oldest" in sys.argv else "--catalog", type=Path, dest="catalog")
    for name in ("config", "state"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--discover", action="store_true")
    asked = parser.parse_args()
    if asked.discover:
        sys.stdout.write(json.dumps(CATALOG))
        return
    config = json.loads(asked.config.read_text())
    state = json.loads(asked.state.read_text()) if asked.state else {}
    catalog = json.loads(asked.catalog.read_text())
    mode = stat.S_IMODE(asked.config.stat().st_mode)
    sys.stderr.write(json.dumps({"config": str(asked.config), "mode": mode, "state": state}) + "\n")
    sys.stderr.write(json.dumps({"environment": sorted(os.environ), "arguments": sys.argv}) + "\n")
    selected = {one["tap_stream_id"] for one in catalog["streams"] if one["metadata"][0]["metadata"]["selected"]}
    sync(config, state, selected)


main()
