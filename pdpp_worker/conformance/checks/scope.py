"""The scope of START is kept to the letter, or the stream skipped as not supported: neither broadened nor narrowed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from pdpp_worker.conformance.attempt import Ask
from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.errors import Defect
from pdpp_worker.conformance.names import plural, some, some_refusals
from pdpp_worker.protocol.reasons import Reason
from pdpp_worker.protocol.scope import StreamScope, TimeRange
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.runtime.rules import moment_of

Records = dict[str, dict[str, Any]]


def check_streams(case: Case) -> str:
    """Each stream asked for alone."""
    _, ledger = case.after_plain()
    held = ledger.held()
    refused = [
        stream.name
        for stream in case.runner.supplied
        if not _keeps(case, (StreamScope(name=stream.name),), set(held.get(stream.name, {})), "alone")
    ]
    return f"{plural(len(case.runner.supplied), 'stream')} alone{_refusals(refused)}"


def check_narrowed(case: Case) -> str:
    """Each stream asked for by one resource, a time range, and some of its fields."""
    _, ledger = case.after_plain()
    held = ledger.held()
    asked, refused = 0, []
    for stream in case.runner.supplied:
        for scope, keys, what in _narrowings(stream, held.get(stream.name, {})):
            asked += 1
            if not _keeps(case, (scope, *_parents(case, stream)), keys, what):
                refused.append(f"{stream.name} by {what}")
    return f"{plural(asked, 'narrowed scope')}{_refusals(refused)}"


def _narrowings(stream: StreamManifest, records: Records) -> Iterator[tuple[StreamScope, set[str], str]]:
    """Scopes that leave something out, with the keys that they leave in."""
    if not records:
        return
    resource = resource_of_key(min(records))
    same = {key for key in records if resource_of_key(key) == resource}
    yield StreamScope(name=stream.name, resources=[resource]), same, "resources"
    yield from _periods(stream, records)
    if (fields := _some_fields(stream)) is not None:
        yield StreamScope(name=stream.name, fields=fields), set(records), "fields"


def _periods(stream: StreamManifest, records: Records) -> Iterator[tuple[StreamScope, set[str], str]]:
    """The later half of the records, and the earlier one; each with those without a time: a missing time passes."""
    field = stream.cursor_field
    moments = {key: moment_of(data.get(field)) for key, data in records.items()} if field is not None else {}
    known = sorted({moment for moment in moments.values() if moment is not None})
    if len(known) < 2:
        return
    middle = known[len(known) // 2]
    text = datetime.fromtimestamp(middle, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    bound = moment_of(text) or middle
    later = {key for key, moment in moments.items() if moment is None or moment >= bound}
    earlier = {key for key, moment in moments.items() if moment is None or moment < bound}
    yield StreamScope(name=stream.name, time_range=TimeRange(since=text)), later, "time_range since"
    yield StreamScope(name=stream.name, time_range=TimeRange(until=text)), earlier, "time_range until"


def _some_fields(stream: StreamManifest) -> list[str] | None:
    properties = list(stream.schema_.get("properties", {}))
    required = [name for name in properties if name in stream.schema_.get("required", [])]
    optional = [name for name in properties if name not in required]
    return [*required, *optional[:1]] if len(optional) > 1 else None


def _parents(case: Case, stream: StreamManifest) -> Iterator[StreamScope]:
    """The streams that keep the stream's place, whole; grandparents too."""
    for name in stream.parents:
        yield StreamScope(name=name)
        parent = case.manifest.stream(name)
        if parent is not None:
            yield from _parents(case, parent)


def _keeps(case: Case, scopes: tuple[StreamScope, ...], keys: set[str], what: str) -> bool:
    """Whether the scope is supported.

    Raises:
        Defect: it is kept in another way than asked, or refused in another way than agreed.
    """
    name = scopes[0].name
    ledger = case.runner.ledger()
    try:
        attempt = case.runner.run(ledger, Ask(streams=scopes))
    except Defect as defect:
        raise Defect(f"asked for stream {name!r} {_by(what)}: {defect}") from defect
    if attempt.error is not None:
        raise Defect(f"asked for stream {name!r} {_by(what)}, fails: {attempt.error}")
    if (reason := attempt.failed_streams.get(name)) is not None:
        if reason != Reason.SCOPE_NOT_SUPPORTED:
            raise Defect(f"asked for stream {name!r} {_by(what)}, skips it for {reason}, not for scope_not_supported")
        return False
    if attempt.refusals:
        raise Defect(f"asked for stream {name!r} {_by(what)}, {some_refusals(attempt.refusals)}")
    got = set(ledger.held().get(name, {}))
    if lost := keys - got:
        raise Defect(f"asked for stream {name!r} {_by(what)}, leaves out without a word: {some(lost)}")
    if extra := got - keys:
        raise Defect(f"asked for stream {name!r} {_by(what)}, brings what was not asked for: {some(extra)}")
    return True


def _by(what: str) -> str:
    return what if what == "alone" else f"by {what}"


def _refusals(refused: list[str]) -> str:
    return f"; refused as not supported: {', '.join(refused)}" if refused else ", all kept"


def resource_of_key(key: str) -> str:
    """The resource of a stored key: itself, or the first part of a compound one."""
    parts = json.loads(key) if key[0] in '["' else key
    return str(parts[0]) if isinstance(parts, list) else str(parts)
