"""The account's streams over the network, or out of an official export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import NamedTuple

from connectors.chatgpt.api import Api
from connectors.chatgpt.archive import import_archive
from connectors.chatgpt.conversations import forward, recover
from connectors.chatgpt.details import Details
from connectors.chatgpt.errors import reason_of
from connectors.chatgpt.lists import SMALL_STREAMS, SmallStream, scan
from connectors.chatgpt.session import Session
from pdpp_worker.connector import (
    WHOLE_STREAM,
    AuthExpired,
    Challenged,
    Context,
    Message,
    ProviderError,
    Reason,
    Start,
    Throttled,
    skip,
)

TREES = ("conversations", "messages")


class Phase(NamedTuple):
    """A part of the work, and the streams that suffer when it cannot be done."""

    streams: tuple[str, ...]
    messages: Callable[[], Iterator[Message]]


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Close the known gaps, scan the small streams, then walk the conversations from the saved place."""
    refused = _not_supported(start)
    for stream, why in refused.items():
        yield skip(stream, Reason.SCOPE_NOT_SUPPORTED, WHOLE_STREAM, why)
    kept = [scope for scope in start.scope.streams if scope.name not in refused]
    start = start.model_copy(update={"scope": start.scope.model_copy(update={"streams": kept})})
    wanted = [scope.name for scope in kept]
    if context.settings.get("archive"):
        yield from import_archive(start, context, wanted)
    else:
        yield from _collect_online(start, context, wanted)


def _collect_online(start: Start, context: Context, wanted: list[str]) -> Iterator[Message]:
    try:
        session = Session(context)
    except ProviderError as error:
        yield from _stopped(wanted, error, context)
        return
    with closing(session):
        phases = _phases(start, context, Api(session), wanted)
        for number, phase in enumerate(phases):
            try:
                yield from phase.messages()
            except (AuthExpired, Challenged) as error:
                yield from _stopped([name for late in phases[number:] for name in late.streams], error, context)
                return


def _phases(start: Start, context: Context, api: Api, wanted: list[str]) -> list[Phase]:
    details = Details(api, start.budget.items, in_batches=bool(context.settings.get("batch")))
    trees = tuple(name for name in TREES if name in wanted)
    phases = [Phase(trees, lambda: recover(start, context, details))] if trees else []
    if start.recovery_only:
        return phases
    small = [stream for stream in SMALL_STREAMS if stream.name in wanted]
    phases += [Phase((stream.name,), _scanner(stream, start, context, api)) for stream in small]
    if "conversations" in trees:
        phases.append(Phase(trees, lambda: forward(start, context, api, details)))
    return phases


def _scanner(stream: SmallStream, start: Start, context: Context, api: Api) -> Callable[[], Iterator[Message]]:
    return lambda: scan(stream, start, context, api)


def _stopped(streams: list[str], error: ProviderError, context: Context) -> Iterator[Message]:
    """Nothing further is asked for; where only the owner can mend this, what to do is said."""
    due = error.retry_after if isinstance(error, Throttled) else None
    said = (
        f"{error}. {_PASS[context.settings.get('reach') == 'browser']}" if isinstance(error, Challenged) else str(error)
    )
    for stream in dict.fromkeys(streams):
        yield skip(stream, reason_of(error), WHOLE_STREAM, said, retry_after=due)


_PASS = {
    True: "Open the browser and pass the check yourself: pdpp-worker connection login NAME",
    False: "Collect through your own browser: pdpp-worker connection set NAME reach=browser; connection login NAME",
}
"""What the owner can do about a bot check, by whether requests go through the browser."""


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = {
        scope.name: "This stream is collected whole; ask for it without resources, time range or fields."
        for scope in start.scope.streams
        if (scope.resources, scope.time_range, scope.fields) != (None, None, None)
    }
    is_alone = start.wants("messages") and (not start.wants("conversations") or "conversations" in narrowed)
    alone = {"messages": "Messages are collected with their conversations; ask for both."} if is_alone else {}
    return {**narrowed, **alone}
