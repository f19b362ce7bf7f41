"""The adapter: runs a Singer tap as a connector of the Collection Profile.

    python -m pdpp_worker.singer singer.json

START comes on standard input, messages go to standard output. The tap's own words go to standard error.
"""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any, NoReturn

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.messages import STREAM_FAILED
from pdpp_worker.settings import get_settings
from pdpp_worker.singer.definition import Definition, load_definition, read_config, select_streams
from pdpp_worker.singer.output import Output
from pdpp_worker.singer.state import States
from pdpp_worker.singer.tap import Tap
from pdpp_worker.singer.walk import TapViolation, Walk


def main(path: Path) -> int:
    """Serve one START; returns the exit code: 0 when the tap ended well."""
    signal.signal(signal.SIGTERM, _stop)
    sys.set_int_max_str_digits(0)
    output = Output(sys.stdout.buffer)
    start = json.loads(sys.stdin.buffer.readline())
    try:
        definition = load_definition(path)
        config = read_config(definition, get_settings().credential_variable)
        return _serve(definition, config, start, output)
    except ConfigurationError as error:
        return output.done("failed", {"message": str(error)})


def _serve(definition: Definition, config: dict[str, Any], start: dict[str, Any], output: Output) -> int:
    if start.get("recovery_only"):
        return output.done("failed", {"message": "a tap walks its streams and cannot be asked for single records"})
    wanted = [scope["name"] for scope in start["scope"]["streams"] if output.can_be_whole(scope)]
    streams = {name: definition.streams[name] for name in wanted}
    if not streams:
        return output.done("succeeded")
    states = States(streams, start.get("state") or {})
    walk = Walk(streams, definition.catalog, states, output)
    catalog = select_streams(definition.catalog, set(streams.values()))
    files = {"config": config, definition.catalog_option: catalog}
    if states.given is not None:
        files["state"] = states.given
    with Tap(definition.tap, files, on_words=output.sign_of_life) as tap:
        try:
            for line in tap.lines():
                walk.take(line)
            code = tap.exit_code()
        except TapViolation as violation:
            return _end(walk, output, f"the tap broke the Singer protocol: {violation}")
    return _end(walk, output, f"the tap ended with exit code {code}" if code else None)


def _end(walk: Walk, output: Output, failure: str | None) -> int:
    """Say what was walked and what was not; whatever the tap did not say that it finished is missing."""
    unfinished = walk.close(whole=failure is None)
    if failure is None:
        return output.done("succeeded")
    if len(unfinished) == len(walk.streams):
        return output.done("failed", {"message": failure, "retryable": True})
    return output.done("failed", {"code": STREAM_FAILED, "message": failure, "retryable": True})


def _stop(_signal: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
