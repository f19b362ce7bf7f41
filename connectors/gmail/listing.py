"""The UIDs that a server shows of a mailbox, span by span, held against the number that it counts."""

from __future__ import annotations

from collections.abc import Iterator

from connectors.gmail.errors import HungUpError, RefusedError
from connectors.gmail.ledger import Ledger
from connectors.gmail.position import Numbers
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import ShapeError

SPAN = 5_000
"""UIDs that are looked through at once, to begin with."""
CROWDED = 50_000
"""A mailbox with more messages is not looked through in arbitrarily wide spans, since one might hold them all."""
WIDEST = 1 << 20


def spans(session: Session, exists: int, after: int, top: int) -> Iterator[tuple[list[int], int]]:
    """The UIDs that exist beyond `after`, up to `top`: span by span, each with the UID that its span ends with."""
    span, widest = SPAN, top if exists <= CROWDED else WIDEST
    if not exists and after < top:
        yield [], top
        return
    while after < top:
        last = min(after + span, top)
        asked = f"{after + 1}:{last}"
        found = session.ask("FETCH of UIDs", lambda client, asked=asked: client.existing(asked))  # type: ignore[misc]
        yield [uid for uid in found if after < uid <= last], last
        after = last
        span = SPAN if len(found) > SPAN // 5 else min(span * 4, max(widest, SPAN))


def relisted(session: Session, exists: int, after: int, top: int, ledger: Ledger) -> Iterator[tuple[list[int], int]]:
    """The UIDs beyond `after`, up to `top`, which were listed before: as `spans` has them, or only those not held.

    Where the server tells ranges, one question is enough. It may cut a search short, so that is believed where it shows
    all that is held; else it is asked by FETCH.
    """
    shown = _searched(session, after + 1, top) if after < top and exists <= CROWDED else None
    held = ledger.uids(after + 1, top) if shown else set()
    if shown and held.issubset(shown):
        yield sorted(set(shown) - held), top
    else:
        yield from spans(session, exists, after, top)


def _searched(session: Session, first: int, last: int) -> list[int] | None:
    if "ESEARCH" not in session.capabilities:
        return None
    try:
        return session.ask("SEARCH of UIDs", lambda client: client.searched(first, last, CROWDED))
    except (RefusedError, HungUpError, ShapeError):
        return None


def whole(session: Session, selected: Selected) -> Numbers | None:
    """All UIDs of the selected mailbox; None when they are not as many as the server counts."""
    found = spans(session, selected.exists, 0, selected.uidnext - 1)
    uids = Numbers(uid for page, _ in found for uid in page)
    return uids if len(uids) == selected.exists else None
