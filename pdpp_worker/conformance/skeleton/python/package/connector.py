"""Notes of an account: a list of what changed, and each note by its id. Put your platform's endpoints there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    Challenged,
    Context,
    DetailGap,
    DetailGapRecovered,
    Gone,
    Message,
    ProviderError,
    Reason,
    Record,
    ResourceScope,
    Start,
    State,
    Throttled,
    skip,
)

STREAM = "notes"
PAGE = 3


class ShapeError(ProviderError):
    """The platform answered in a form that this version does not know."""

    reason = Reason.SHAPE_CHANGED.value


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Close the known gaps, then walk what changed since the cursor."""
    (scope,) = start.scope.streams
    if (scope.resources, scope.time_range, scope.fields) != (None, None, None):
        yield skip(STREAM, Reason.SCOPE_NOT_SUPPORTED, WHOLE_STREAM, "This stream is collected whole.")
        return
    try:
        api = Api(context)
        yield from _recover(start, context, api)
        if not start.recovery_only:
            yield from _walk(start, context, api)
    except ProviderError as error:
        due = error.retry_after if isinstance(error, Throttled) else None
        reason = next((one for one in Reason if one.value == error.reason), Reason.UPSTREAM_ERROR)
        yield skip(STREAM, reason, WHOLE_STREAM, str(error), retry_after=due)


def _recover(start: Start, context: Context, api: Api) -> Iterator[Message]:
    """Ask for exactly the notes that are known to be missing."""
    for gap in start.detail_gaps[: start.budget.items]:
        if not isinstance(gap.scope, ResourceScope):
            continue
        key = gap.scope.resource_id
        try:
            yield _record(api.note(key), context)
        except Gone:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=STREAM, record_key=key, absent=True)
        except (AuthExpired, Challenged):
            raise
        except ProviderError as error:
            yield _gap(key, error, gap.gap_id)
        else:
            yield DetailGapRecovered(gap_id=gap.gap_id, stream=STREAM, record_key=key)


def _walk(start: Start, context: Context, api: Api) -> Iterator[Message]:
    """Read what is new, oldest change first. After each page the cursor names the last change that was handled."""
    place = start.cursor(STREAM) or {"after": 0}
    while changes := api.changes(place["after"]):
        for change in changes:
            yield from _note(change["id"], context, api)
            place = {"after": change["number"]}
        yield State(stream=STREAM, cursor=place)


def _note(key: str, context: Context, api: Api) -> Iterator[Message]:
    """A note, its deletion, or the gap that it leaves."""
    try:
        yield _record(api.note(key), context)
    except Gone:
        yield Record(stream=STREAM, key=key, data={"id": key}, emitted_at=context.now(), op="delete")
    except (AuthExpired, Challenged):
        raise
    except ProviderError as error:
        yield _gap(key, error)


def _record(note: dict[str, Any], context: Context) -> Record:
    data = {name: note[name] for name in ("id", "text", "updated_at")}
    return Record(stream=STREAM, key=data["id"], data=data, emitted_at=context.now())


def _gap(key: str, error: ProviderError, gap_id: str | None = None) -> DetailGap:
    due = error.retry_after if isinstance(error, Throttled) else None
    return DetailGap(
        stream=STREAM, record_key=key, reason=error.reason, retry_after=due, last_error=str(error), gap_id=gap_id
    )


class Api:
    """The platform's endpoints. An answer counts only if it has the expected shape."""

    def __init__(self, context: Context) -> None:
        token = context.secret("token").get_secret_value()
        headers = {"authorization": f"Bearer {token}"}
        self._http: httpx.Client = context.http(base_url=str(context.settings["base_url"]), headers=headers)

    def changes(self, after: int) -> list[dict[str, Any]]:
        """A page of changes after number `after`, oldest first; empty at the end."""
        answer = self._get("/changes", after=after, limit=PAGE)
        if not isinstance(answer, list) or not all(isinstance(one, dict) and "number" in one for one in answer):
            raise ShapeError("the list of changes has another shape")
        return answer

    def note(self, key: str) -> dict[str, Any]:
        """One note."""
        answer = self._get(f"/notes/{key}")
        if not isinstance(answer, dict) or not {"id", "text", "updated_at"} <= answer.keys():
            raise ShapeError("the note has another shape")
        return answer

    def _get(self, path: str, **parameters: int) -> Any:
        response = self._http.get(path, params=parameters)
        try:
            return response.json()
        except ValueError:
            raise ShapeError(f"GET {path} answered with something that is not JSON") from None
