"""Checks of messages against START and the manifest, made before anything is written."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jsonschema_rs

from pdpp_worker.confined.carried import Form
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import DetailCoverage, Inventory, Record, SourceAccount
from pdpp_worker.protocol.schemas import validator_for
from pdpp_worker.protocol.scope import Scope, StreamScope, TimeRange, scope_key
from pdpp_worker.protocol.stream_manifest import StreamManifest
from pdpp_worker.store import values
from pdpp_worker.store.batch import Period


def validators_for(names: Iterable[str], streams: Mapping[str, StreamManifest]) -> dict[str, jsonschema_rs.Validator]:
    """The validators of the records of these streams."""
    return {name: validator_for(streams[name].schema_) for name in names if name in streams}


def forms_of(scopes: Iterable[StreamScope], streams: Iterable[StreamManifest]) -> dict[str, Form]:
    """The forms of the records of those streams that are wanted whole: nobody looks at their data once more."""
    whole = {scope.name for scope in scopes if not is_narrowed(scope)}
    return {one.name: Form(one.schema_, one.cursor_field) for one in streams if one.name in whole}


def is_narrowed(scope: StreamScope) -> bool:
    """Whether START asks for a part of a stream only."""
    return not (scope.resources is None and scope.fields is None and scope.time_range is None)


def check_in_scope(record: Record, scope: StreamScope, cursor_field: str | None) -> None:
    """Refuse a record outside the scope.

    Raises:
        ProtocolViolation: naming the stream and the constraint, never the content.
    """
    if scope.resources is not None and resource_of(record) not in scope.resources:
        raise ProtocolViolation(f"RECORD of stream {record.stream!r} is outside the resources that START asked for")
    if scope.fields is not None and not record.data.keys() <= set(scope.fields):
        raise ProtocolViolation(f"RECORD of stream {record.stream!r} has a field that START did not ask for")
    if scope.time_range is not None and cursor_field is not None and record.op == "upsert":
        moment = moment_of(record.data.get(cursor_field))
        since, until = moment_of(scope.time_range.since), moment_of(scope.time_range.until)
        too_early = moment is not None and since is not None and moment < since
        too_late = moment is not None and until is not None and moment >= until
        if too_early or too_late:
            raise ProtocolViolation(
                f"RECORD of stream {record.stream!r} is outside the time range that START asked for"
            )


def check_coverage_position(coverage: DetailCoverage, stream: StreamManifest, keepers: Sequence[str]) -> None:
    """Refuse a DETAIL_COVERAGE that holds back another cursor than the one that would move past its details.

    Raises:
        ProtocolViolation: naming the stream and the streams that keep its position.
    """
    if stream.state_stream is not None:
        raise ProtocolViolation(
            f"DETAIL_COVERAGE of stream {stream.name!r} is not taken: it has the coverage_strategy checkpoint_window, "
            f"so the STATE of {stream.state_stream} says by itself what of it was read",
            field="stream",
        )
    for field in ("required_keys", "hydrated_keys", "gap_keys"):
        if "" in (getattr(coverage, field) or ()):
            raise ProtocolViolation(
                f"DETAIL_COVERAGE of stream {stream.name!r} has an empty key in {field}", field=field
            )
    if coverage.state_stream not in {*stream.parents, *keepers}:
        raise ProtocolViolation(
            f"DETAIL_COVERAGE of stream {stream.name!r} names state_stream {coverage.state_stream!r}; "
            f"by the manifest its place is kept by {' or '.join(keepers)}",
            field="state_stream",
        )


def checked_locator(
    message: str, stream: str, scope: Scope, locator: dict[str, Any] | None, redact: Callable[[str], str]
) -> dict[str, Any] | None:
    """The locator, without the parts of it that JSON cannot carry: a provider's infinity may be among them.

    Raises:
        ProtocolViolation: the scope is no JSON, or one of them holds a secret; names the message and the stream.
    """
    found: dict[str, Any] | None = values.representable(locator)
    try:
        texts = scope_key(scope), values.storable_json(found)
    except values.NotRepresentableError as error:
        raise ProtocolViolation(f"the scope of a gap in stream {stream!r} is no JSON: {error}") from None
    if any(redact(text) != text for text in texts):
        text = f"{message} of stream {stream!r} holds a secret of the connection"
        raise ProtocolViolation(text, field="detail_locator")
    return found


def check_account(
    account: SourceAccount, known: SourceAccount | None, redact: Callable[[str], str], *, comes_late: bool
) -> None:
    """Refuse a SOURCE_ACCOUNT that comes late, names a second account, or holds a secret.

    Raises:
        ProtocolViolation: saying which of these.
    """
    if comes_late and known is None:
        raise ProtocolViolation("SOURCE_ACCOUNT came after what was read; it is to come before any record")
    if known is not None and account.identity != known.identity:
        raise ProtocolViolation("SOURCE_ACCOUNT names a second account; a connection has one")
    if redact(account.identity) != account.identity:
        raise ProtocolViolation("SOURCE_ACCOUNT holds a secret of the connection")


def check_inventory(inventory: Inventory, streams: Collection[str]) -> None:
    """Refuse an INVENTORY whose members go into streams that the manifest does not have.

    Raises:
        ProtocolViolation: naming the stream.
    """
    for stream in (stream for member in inventory.members for stream in member.streams):
        if stream not in streams:
            raise ProtocolViolation(
                f"INVENTORY names stream {stream!r}, which the manifest does not have", field="members"
            )


def period_of(period: TimeRange, stream: str) -> Period:
    """A covered period, in UTC.

    Raises:
        ProtocolViolation: naming the stream and what is wrong with its ends.
    """
    since, until = instant_of(period.since), instant_of(period.until)
    if (since is None) != (period.since is None) or (until is None) != (period.until is None):
        raise ProtocolViolation(f"STATE of stream {stream!r} covers a period whose end is no time")
    if since is not None and until is not None and until < since:
        raise ProtocolViolation(f"STATE of stream {stream!r} covers a period that ends before it begins")
    return Period(since, until)


def resource_of(record: Record) -> str:
    """The resource a record is: its key, or the first part of a compound key."""
    return record.key if isinstance(record.key, str) else record.key[0]


def instant_of(text: str | None, *, zoned: bool = True) -> datetime | None:
    """A time in ISO 8601, in UTC; None when it is none, or in UTC of no year.

    Without a zone it is none, unless not `zoned`: then it is in UTC.
    """
    try:
        parsed = datetime.fromisoformat(text or "")
        if parsed.tzinfo is UTC:
            return parsed
        if parsed.tzinfo is None and not zoned:
            return parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC) if parsed.tzinfo else None
    except (ValueError, OverflowError):
        return None


def place_among_versions(value: Any) -> tuple[float | None, str | None]:
    """A record's place among its versions by its cursor field: a time, Unix s, or the digits of a number."""
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return None, None
        instant = read if read.tzinfo is UTC else instant_of(value)  # nearly all are in UTC
        return None if instant is None else instant.timestamp(), None
    moment = moment_of(value)
    return (moment, None) if moment is None else (None, str(value))


def moment_of(value: Any, *, zoned: bool = True) -> float | None:
    """A time in any of the forms platforms use, as Unix seconds; None when it is none, or in UTC of no year."""
    if isinstance(value, bool) or value is None:
        return None
    try:
        if isinstance(value, int | float | Decimal):
            return float(value)
        instant = instant_of(value, zoned=zoned) if isinstance(value, str) else None
        return None if instant is None else instant.timestamp()
    except (ValueError, OverflowError):
        return None
