"""Notes of an account, with nothing but the standard library: write it in the language that you like.

START comes as the first line of standard input; messages go to standard output, one JSON object a line.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

STREAM = "notes"
PAGE = 3
FIELDS = {"id", "text", "updated_at"}
WHOLE: dict[str, Any] = {"partition": {}}
REASONS = {401: "credentials_expired", 403: "credentials_expired", 429: "rate_limited"}
PAUSE_S = float(os.environ["PDPP_PACING_MIN_INTERVAL_MS"]) / 1000
GONE = (404, 410)

Message = dict[str, Any]


class FailedError(Exception):
    """The platform did not give what was asked for; `reason` is one of the taxonomy."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class GoneError(FailedError):
    """The platform affirms that there is nothing."""


def collect(start: Message) -> Iterator[Message]:
    """Close the known gaps, then walk what changed since the cursor."""
    scope = start["scope"]["streams"][0]
    if any(scope.get(name) is not None for name in ("resources", "time_range", "fields")):
        yield skip("scope_not_supported", "retry_on_connector_upgrade", "This stream is collected whole.")
        return
    try:
        yield from recover(start)
        if not start.get("recovery_only"):
            yield from walk(start)
    except FailedError as error:
        is_shape = error.reason == "shape_changed"
        yield skip(error.reason, "retry_on_connector_upgrade" if is_shape else "retry_by_runtime", str(error))


def recover(start: Message) -> Iterator[Message]:
    """Ask for exactly the notes that are known to be missing."""
    for gap in start.get("detail_gaps", [])[: start.get("budget", {}).get("items")]:
        key = gap["scope"].get("resource_id")
        recovered = {"type": "DETAIL_GAP_RECOVERED", "gap_id": gap["gap_id"], "stream": STREAM, "record_key": key}
        try:
            yield record(get(f"/notes/{key}"))
            yield recovered
        except GoneError:
            yield {**recovered, "absent": True}
        except FailedError as error:
            yield from missed(key, error, gap["gap_id"])


def walk(start: Message) -> Iterator[Message]:
    """Read what is new, oldest change first; after each page the cursor names the last change that was handled."""
    lists = get("/lists")
    yield {"type": "INVENTORY", "part": "account", "members": [member(one) for one in lists]}
    place = (start.get("state") or {}).get(STREAM) or {"after": 0}
    while changes := get(f"/changes?after={place['after']}&limit={PAGE}"):
        for change in changes:
            yield from note(change["id"])
            place = {"after": change["number"]}
        yield {"type": "STATE", "stream": STREAM, "cursor": place}
    if any(one["name"] == STREAM and one["last_change"] > place["after"] for one in lists):
        raise FailedError("upstream_error", "the list of changes ends before its last change")


def member(one: Message) -> Message:
    """A list of the account: ours, or one that this version does not know."""
    ours = {"disposition": "collected", "streams": [STREAM]}
    return {"kind": "list", **one, **(ours if one["name"] == STREAM else {"disposition": "unknown"})}


def note(key: str) -> Iterator[Message]:
    """A note, its deletion, or the gap that it leaves."""
    try:
        yield record(get(f"/notes/{key}"))
    except GoneError:
        yield {**record({"id": key}), "op": "delete"}
    except FailedError as error:
        yield from missed(key, error)


def missed(key: str, error: FailedError, gap_id: str | None = None) -> Iterator[Message]:
    """The word that a note could not be read; where only the owner can restore it, nothing more is asked."""
    if error.reason == "credentials_expired":
        raise error
    message = {"type": "DETAIL_GAP", "stream": STREAM, "record_key": key, "reason": error.reason}
    yield {**message, "last_error": str(error), "gap_id": gap_id}


def record(data: Message) -> Message:
    """A record."""
    if "id" not in data:
        raise FailedError("shape_changed", "the note has another shape")
    named = {name: value for name, value in data.items() if name in FIELDS}
    rest = {name: value for name, value in data.items() if name not in FIELDS}
    shaped = {**named, "extra": rest}
    return {"type": "RECORD", "stream": STREAM, "key": data["id"], "data": shaped, "emitted_at": now()}


def skip(reason: str, kind: str, text: str) -> Message:
    """The whole stream could not be collected."""
    fields = {"reason": reason, "recovery_kind": kind, "message": text, "scope": WHOLE}
    return {"type": "SKIP_RESULT", "stream": STREAM, **fields}


def get(path: str) -> Any:
    """The answer to a GET, after the pause that the owner's rate asks for."""
    time.sleep(PAUSE_S)
    request = Request(os.environ["NOTES_URL"] + path)  # noqa: S310 - the owner's own setting
    request.add_header("authorization", f"Bearer {os.environ['NOTES_TOKEN']}")
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310 - likewise
            return json.load(answer)
    except HTTPError as error:
        if error.code in GONE:
            raise GoneError("upstream_error", f"answered {error.code}") from None
        raise FailedError(REASONS.get(error.code, "upstream_error"), f"answered {error.code}") from None
    except URLError as error:
        raise FailedError("network_error", type(error.reason).__name__) from None
    except ValueError:
        raise FailedError("shape_changed", "answered with something that is not JSON") from None


def now() -> str:
    """The time, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def main() -> None:
    """Answer one START."""
    start = json.loads(sys.stdin.readline())
    for message in collect(start):
        say(message)
    say({"type": "DONE", "status": "succeeded"})


def say(message: Message) -> None:
    """Write one message."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
