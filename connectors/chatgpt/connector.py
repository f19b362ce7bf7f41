"""The account's streams over the network, or out of an official export."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

from connectors.chatgpt.account_check import check
from connectors.chatgpt.account_inventory import account_inventory
from connectors.chatgpt.api import Api
from connectors.chatgpt.archive import import_archive
from connectors.chatgpt.conversations import Conversations
from connectors.chatgpt.details import Details
from connectors.chatgpt.export_items import ALONE as EXPORT_ALONE
from connectors.chatgpt.gaps import TREES
from connectors.chatgpt.list_recovery import walk_again
from connectors.chatgpt.lists import SMALL_STREAMS, SmallStream, scan
from connectors.chatgpt.recovery import recover
from connectors.chatgpt.session import Session
from pdpp_worker.connector import (
    WHOLE_STREAM,
    BatchScope,
    Challenged,
    Context,
    Message,
    Phase,
    ProviderError,
    Reason,
    Start,
    account_named,
    narrowed_streams,
    refuse,
    run_phases,
    skip,
    skip_for,
)

__all__ = ["check", "collect"]


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Close the known gaps, scan the small streams, then walk the conversations from the saved position."""
    refused = _not_supported(start)
    yield from refuse(refused)
    kept = [scope for scope in start.scope.streams if scope.name not in refused]
    start = start.model_copy(update={"scope": start.scope.model_copy(update={"streams": kept})})
    wanted = [scope.name for scope in kept]
    if context.settings.get("archive"):
        yield from import_archive(start, context, wanted)
    else:
        yield from _collect_online(start, context, wanted)


def _collect_online(start: Start, context: Context, wanted: list[str]) -> Iterator[Message]:
    for stream in filter(EXPORT_ALONE.__contains__, wanted):
        yield skip(stream, Reason.EXPORT_NOT_WIRED, WHOLE_STREAM, "Only an official export holds this.")
    wanted = [stream for stream in wanted if stream not in EXPORT_ALONE]
    word = partial(_word, in_browser=context.settings.get("reach") == "browser")
    try:
        session = Session(context)
    except ProviderError as error:
        yield from (skip_for(error, stream, message=word(error)) for stream in wanted)
        return
    with closing(session):
        if session.account is not None:
            yield account_named(session.account, session.account_label)
        is_known = session.account is not None
        yield from run_phases(_phases(start, context, Api(session), wanted, is_known=is_known), word=word)


def _phases(start: Start, context: Context, api: Api, wanted: list[str], *, is_known: bool) -> list[Phase]:
    """The phases of a slice; `is_known`: the account has said who it is."""
    details = Details(api, start.budget.items, in_batches=bool(context.settings.get("batch")))
    trees = tuple(name for name in TREES if name in wanted)
    phases = [Phase(trees, lambda: recover(start, context, details))] if trees else []
    walk = Conversations(start, context, api, details)
    if start.recovery_only:
        parts = [known for known in start.detail_gaps if isinstance(known.scope, BatchScope)]
        if trees and parts:
            # A list of another account would be taken for this one's, so that is looked at first.
            phases = [*([] if is_known else [Phase(trees, walk.check_account)]), *phases]
            phases.append(Phase(trees, lambda: walk_again(walk, parts)))
        return phases
    if trees and not is_known:
        phases.insert(0, Phase(trees, walk.check_account))
    small = [stream for stream in SMALL_STREAMS if stream.name in wanted]
    if trees or small:
        phases.append(Phase((), lambda: iter([account_inventory()])))
    phases += [Phase((stream.name,), _scanner(stream, start, context, api)) for stream in small]
    if "conversations" in trees:
        phases.append(Phase(trees, walk.walk))
    return phases


def _scanner(stream: SmallStream, start: Start, context: Context, api: Api) -> Callable[[], Iterator[Message]]:
    return lambda: scan(stream, start, context, api)


def _word(error: ProviderError, *, in_browser: bool) -> str:
    """The sentence for the owner; of a bot check with what to do about it."""
    return f"{error}. {_PASS[in_browser]}" if isinstance(error, Challenged) else str(error)


_PASS = {
    True: "Open the browser and pass the check yourself: pdpp-worker connection login NAME",
    False: "Collect through your own browser: pdpp-worker connection set NAME reach=browser; connection login NAME",
}
"""Advice about a bot check, by whether requests go through the browser."""


def _not_supported(start: Start) -> dict[str, str]:
    """Streams that are asked for in a way that cannot be honoured, and why."""
    narrowed = narrowed_streams(start)
    is_alone = start.wants("messages") and (not start.wants("conversations") or "conversations" in narrowed)
    alone = {"messages": "Messages are collected with their conversations; ask for both."} if is_alone else {}
    has_messages = start.wants("messages") and "messages" not in {*narrowed, *alone}
    if start.wants("files") and not has_messages:
        alone["files"] = "Files are collected with the messages that name them; ask for both."
    return {**narrowed, **alone}
