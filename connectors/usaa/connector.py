"""The owner's accounts at USAA, from files in an inbox or from the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from connectors.usaa.account_check import check
from connectors.usaa.documents.templates import TEMPLATES, Template
from connectors.usaa.inbox import files
from connectors.usaa.inbox.walk import Inbox
from connectors.usaa.records import TRANSACTIONS, RecordFactory
from connectors.usaa.site.collect import collect_site
from pdpp_worker.connector import WHOLE_STREAM, Context, Message, Reason, Start, State, narrowed_streams, refuse, skip

__all__ = ["check", "collect", "collect_with"]


def collect(start: Start, context: Context) -> Iterator[Message]:
    """Collect with every statement layout that this version knows."""
    yield from collect_with(TEMPLATES, start, context)


def collect_with(templates: Sequence[Template], start: Start, context: Context) -> Iterator[Message]:
    """Close the gaps that are due, then walk the inbox, or the site where no inbox is set."""
    refused = _not_supported(start)
    if not start.recovery_only:
        yield from refuse(refused)
    wanted = frozenset(scope.name for scope in start.scope.streams) - refused.keys()
    factory = RecordFactory(wanted, context.now)
    if not context.settings.get("inbox"):
        yield from collect_site(start, context, factory, templates)
    elif TRANSACTIONS in wanted:
        yield from _collect_inbox(start, context, factory, templates)


def _not_supported(start: Start) -> dict[str, str]:
    """Streams whose scope cannot be held, and why; all that documents give comes with their transactions."""
    narrowed = narrowed_streams(start)
    asked = {scope.name for scope in start.scope.streams} - narrowed.keys()
    return {**narrowed, **(dict.fromkeys(asked, _ALONE) if TRANSACTIONS not in asked else {})}


_ALONE = "Ask for the whole stream transactions as well: it keeps the position."


def _collect_inbox(
    start: Start, context: Context, factory: RecordFactory, templates: Sequence[Template]
) -> Iterator[Message]:
    root = Path(str(context.settings["inbox"])).expanduser()
    history = timedelta(days=int(context.settings["history_days"]))
    inbox = Inbox(root, start, factory, templates, history)
    try:
        found = files.scan(root)
    except OSError as error:
        why = error.strerror or type(error).__name__
        yield from _nothing(start, factory, f"The inbox cannot be listed: {why}. Correct the setting `inbox`.")
        return
    if not found:
        why = "The inbox is empty: put CSV exports and PDF statements into it."
        lost = "The inbox is empty, and files lay there before. Is its disk mounted?"
        yield from _nothing(start, factory, why if inbox.is_new else lost)
        return
    if start.recovery_only:
        yield from inbox.recover(found)
        return
    yield from inbox.walk(found)
    yield from _places(factory.wanted)


def _nothing(start: Start, factory: RecordFactory, why: str) -> Iterator[Message]:
    if not start.recovery_only:
        for stream in sorted(factory.wanted):
            yield skip(stream, Reason.SOURCE_PARTITION_FAILED, WHOLE_STREAM, why)


def _places(wanted: frozenset[str]) -> Iterator[Message]:
    """STATE for streams filled from documents; their position is in the transactions cursor."""
    for stream in sorted(wanted - {TRANSACTIONS}):
        yield State(stream=stream, cursor={"road": "inbox"})
