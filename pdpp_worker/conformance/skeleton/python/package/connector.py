"""Notes of an account: a list of what changed, and each note by its id. Put your platform's endpoints there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx

from pdpp_worker.connector import (
    Context,
    Gone,
    Message,
    NeedsOwner,
    Phase,
    ProviderError,
    Reached,
    Record,
    ResourceScope,
    ShapeError,
    SourceMember,
    Start,
    State,
    UpstreamError,
    closed_as_absent,
    closed_by,
    gap_for,
    inventory_of,
    narrowed_streams,
    refuse,
    run_phases,
    still_missing,
)
from pdpp_worker.connector.json_fields import rest_of

STREAM = "notes"
PAGE = 3
FIELDS = ("id", "text", "updated_at")


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Close the known gaps, then walk what changed since the cursor."""
    if narrowed := narrowed_streams(start):
        yield from refuse(narrowed)
        return
    yield from run_phases([Phase((STREAM,), lambda: _collect(start, context))])


def check(context: Context) -> Reached:
    """Try the account before it is saved: ask as little as tells whether it works."""
    return Reached(holds={one["name"]: one["count"] for one in Api(context).lists()})


def _collect(start: Start, context: Context) -> Iterator[Message]:
    api = Api(context)
    yield from _recover(start, context, api)
    if not start.recovery_only:
        yield from _walk(start, context, api)


def _recover(start: Start, context: Context, api: Api) -> Iterator[Message]:
    """Ask for exactly the notes that are known to be missing."""
    for gap in start.detail_gaps[: start.budget.items]:
        if not isinstance(gap.scope, ResourceScope):
            continue
        try:
            record = _record(api.note(gap.scope.resource_id), context)
        except Gone:
            yield closed_as_absent(gap)
        except NeedsOwner:
            raise
        except ProviderError as error:
            yield still_missing(error, gap)
        else:
            yield record
            yield closed_by(record, gap)


def _walk(start: Start, context: Context, api: Api) -> Iterator[Message]:
    """Read what is new, oldest change first. After each page the cursor names the last change that was handled."""
    lists = api.lists()
    yield inventory_of("account", [_member(one) for one in lists])
    place = start.cursor(STREAM) or {"after": 0}
    while changes := api.changes(place["after"]):
        for change in changes:
            yield from _note(change["id"], context, api)
            place = {"after": change["number"]}
        yield State(stream=STREAM, cursor=place)
    if any(one["name"] == STREAM and one["last_change"] > place["after"] for one in lists):
        raise UpstreamError("the list of changes ends before its last change")


def _member(one: dict[str, Any]) -> SourceMember:
    """A list of the account: ours, or one that this version does not know."""
    is_ours = one["name"] == STREAM
    return SourceMember(
        kind="list",
        name=one["name"],
        count=one["count"],
        disposition="collected" if is_ours else "unknown",
        streams=[STREAM] if is_ours else [],
    )


def _note(key: str, context: Context, api: Api) -> Iterator[Message]:
    """A note, its deletion, or the gap that it leaves."""
    try:
        yield _record(api.note(key), context)
    except Gone:
        yield Record(stream=STREAM, key=key, data={"id": key}, emitted_at=context.now(), op="delete")
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield gap_for(error, STREAM, key)


def _record(note: dict[str, Any], context: Context) -> Record:
    data = {name: note[name] for name in FIELDS} | {"extra": rest_of(note, FIELDS)}
    return Record(stream=STREAM, key=data["id"], data=data, emitted_at=context.now())


class Api:
    """The platform's endpoints. An answer counts only if it has the expected shape."""

    def __init__(self, context: Context) -> None:
        token = context.secret("token").get_secret_value()
        headers = {"authorization": f"Bearer {token}"}
        self._http: httpx.Client = context.http(base_url=str(context.settings["base_url"]), headers=headers)

    def lists(self) -> list[dict[str, Any]]:
        """All lists of the account, with the number of their items and of their last change."""
        answer = self._get("/lists")
        if not isinstance(answer, list) or not all(isinstance(one, dict) and "last_change" in one for one in answer):
            raise ShapeError("the list of lists has another shape")
        return answer

    def changes(self, after: int) -> list[dict[str, Any]]:
        """A page of changes after number `after`, oldest first; empty at the end."""
        answer = self._get("/changes", after=after, limit=PAGE)
        if not isinstance(answer, list) or not all(isinstance(one, dict) and "number" in one for one in answer):
            raise ShapeError("the list of changes has another shape")
        return answer

    def note(self, key: str) -> dict[str, Any]:
        """One note."""
        answer = self._get(f"/notes/{key}")
        if not isinstance(answer, dict) or not set(FIELDS) <= answer.keys():
            raise ShapeError("the note has another shape")
        return answer

    def _get(self, path: str, **parameters: int) -> Any:
        response = self._http.get(path, params=parameters)
        try:
            return response.json()
        except ValueError:
            raise ShapeError(f"GET {path} answered with something that is not JSON") from None
