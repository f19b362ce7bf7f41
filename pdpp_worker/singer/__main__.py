"""The adapter: runs a Singer tap as a connector of the Collection Profile.

    python -m pdpp_worker.singer singer.json [--check]

With `--check` it only asks the tap for its tables, and prints their number or why there are none as one line of JSON.
START comes on standard input, messages go to standard writer. The tap's log goes to standard error.
"""

from __future__ import annotations

import json
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.messages import STREAM_FAILED
from pdpp_worker.settings import get_settings
from pdpp_worker.singer.bookmarks import Bookmarks, SettingsMark
from pdpp_worker.singer.definition import (
    Definition,
    load_definition,
    read_config,
    secret_keys,
    select_streams,
    settings_mark,
)
from pdpp_worker.singer.message_writer import MessageWriter
from pdpp_worker.singer.tables import inventory, listed, look_for_new
from pdpp_worker.singer.tap import Tap
from pdpp_worker.singer.tap_walk import TapViolation, TapWalk


def main(path: Path) -> int:
    """Serve one START; returns the exit code: 0 when the tap ended well."""
    signal.signal(signal.SIGTERM, _stop)
    sys.set_int_max_str_digits(0)
    writer = MessageWriter(sys.stdout.buffer)
    start = json.loads(sys.stdin.buffer.readline())
    try:
        definition = load_definition(path)
        config = read_config(definition, get_settings().variable)
        settings = settings_mark(config, secret_keys(definition, path.with_name("manifest.json")))
        return _serve(definition, config, settings, start, writer)
    except ConfigurationError as error:
        return writer.done("failed", {"message": str(error)})


def check(path: Path) -> int:
    """Ask the tap for its tables; returns the exit code: 0 when it named some."""
    try:
        definition = load_definition(path)
        found = listed(definition.tap, read_config(definition, get_settings().variable))
        said: dict[str, Any] = {"tables": len(found)} if found else {"error": "the tap's --discover names no table"}
    except ConfigurationError as error:
        said = {"error": str(error)}
    sys.stdout.write(json.dumps(said) + "\n")
    return int("error" in said)


def _serve(
    definition: Definition, config: dict[str, Any], settings: SettingsMark, start: dict[str, Any], writer: MessageWriter
) -> int:
    if start.get("recovery_only"):
        return writer.done("failed", {"message": "a tap walks its streams and cannot be asked for single records"})
    wanted = [scope["name"] for scope in start["scope"]["streams"] if writer.can_be_whole(scope)]
    streams = {name: definition.streams[name] for name in wanted}
    if not streams:
        return writer.done("succeeded")
    bookmarks = Bookmarks(streams, start.get("state") or {}, settings)
    if (changed := bookmarks.changed_settings()) is not None:
        writer.write("PROGRESS", message=changed)
    writer.write("PROGRESS", message="the tap is asked which tables its source has")
    new = look_for_new(definition, config, start.get("state") or {}, datetime.now(UTC).date())
    bookmarks.tables = None if new is None else new.dump()
    writer.write("PROGRESS", message="the tap is started")
    walk = TapWalk(streams, definition.catalog, bookmarks, writer)
    catalog = select_streams(definition.catalog, set(streams.values()))
    files = {"config": config, definition.catalog_option: catalog}
    if bookmarks.given is not None:
        files["state"] = bookmarks.given
    with Tap(definition.tap, files, on_log=writer.heartbeat) as tap:
        try:
            for line in tap.lines():
                walk.handle(line)
            code = tap.exit_code()
        except TapViolation as violation:
            return _end(walk, writer, f"the tap broke the Singer protocol: {violation}")
    writer.write("INVENTORY", **inventory(definition, new).model_dump(mode="json", exclude={"type"}))
    return _end(walk, writer, f"the tap ended with exit code {code}" if code else None)


def _end(walk: TapWalk, writer: MessageWriter, failure: str | None) -> int:
    """Write cursors, skips and DONE; streams that the tap did not finish by its own account are missing."""
    unfinished = walk.close(whole=failure is None)
    if failure is None:
        return writer.done("succeeded")
    if len(unfinished) == len(walk.streams):
        return writer.done("failed", {"message": failure, "retryable": True})
    return writer.done("failed", {"code": STREAM_FAILED, "message": failure, "retryable": True})


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(check(Path(sys.argv[1])) if "--check" in sys.argv[2:] else main(Path(sys.argv[1])))
