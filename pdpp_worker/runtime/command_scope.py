"""Whether a command's record lies in START's scope, as the profile has it."""

from __future__ import annotations

from collections.abc import Sequence

from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.keys import canonical_key, names_of
from pdpp_worker.protocol.messages import Record
from pdpp_worker.protocol.scope import StreamScope, TimeRange
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.runtime.rules import moment_of


def check_scope_of_command(record: Record, scope: StreamScope, stream: StreamManifest) -> None:
    """Refuse a record outside the scope.

    No resources are no filter. Key, time and required fields may come along as well.

    Raises:
        ProtocolViolation: naming the stream and the constraint, never the content.
    """
    where = f"RECORD of stream {record.stream!r}"
    if scope.resources and stream.takes_resources and not _is_asked_for(record, scope.resources, stream.resource_field):
        raise ProtocolViolation(f"{where} is outside the resources that START asked for", field="resources")
    if scope.fields is not None and not record.data.keys() <= {*scope.fields, *stream.always_asked}:
        raise ProtocolViolation(f"{where} has a field that START did not ask for", field="fields")
    if scope.time_range is not None and not _is_inside(record, scope.time_range, stream):
        raise ProtocolViolation(f"{where} is outside the time range that START asked for", field="time_range")


def _is_asked_for(record: Record, resources: Sequence[str], field: str | None) -> bool:
    """Whether a record is one of these resources, by its key or by the member that may name the resource."""
    asked = {canonical_key(one) for one in resources}
    return not asked.isdisjoint(names_of(record.key)) or (field is not None and record.data.get(field) in asked)


def _is_inside(record: Record, period: TimeRange, stream: StreamManifest) -> bool:
    """Whether a record lies in the period; one without a time, and a deletion, lies in all."""
    field, zoned = stream.time_field, stream.consent_time_field is None
    if field is None or not stream.takes_time_range or record.op != "upsert":
        return True
    moment = moment_of(record.data.get(field), zoned=zoned)
    since, until = moment_of(period.since, zoned=zoned), moment_of(period.until, zoned=zoned)
    return moment is None or ((since is None or moment >= since) and (until is None or moment < until))
