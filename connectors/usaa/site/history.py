"""Transactions by export: each account from where it is covered, and the periods that are known to be missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from connectors.usaa.documents.reading import UnreadError
from connectors.usaa.gaps import shortened, still_shortened, window_of
from connectors.usaa.ledger import Account, Window
from connectors.usaa.site.export_ranges import OVERLAP, Ask, Exported, SilentAnswerError, fill, request_longest
from connectors.usaa.site.pages import EXPORTED, SiteAccount
from connectors.usaa.site.session import SiteSession
from pdpp_worker.connector import (
    GapToClose,
    Message,
    NeedsOwner,
    ProviderError,
    Reason,
    closed_by,
    reason_for,
    resource_of,
)


def walk(session: SiteSession) -> Iterator[Message]:
    """Every account from where it is covered on, then its missing periods."""
    for account in session.find_accounts():
        if account.kind in EXPORTED:
            yield from _export(session, account)
            yield session.state()


def recover(session: SiteSession) -> Iterator[Message]:
    """The periods that gaps name; in a run for gaps only, the accounts that gaps name as well."""
    if session.gaps.ranges:
        accounts = {account.id: account for account in session.find_accounts()}
        for gap in session.gaps.ranges:
            yield from _fill(session, accounts, gap)
    if session.start.recovery_only:
        keys = {key.removesuffix(_ROWS) for key in _assigned(session) if key.startswith(_KEY)}
        if keys:
            for account in session.find_accounts():
                if _key(account) in keys:
                    yield from _export(session, account)


def _export(session: SiteSession, account: SiteAccount) -> Iterator[Message]:
    state = session.ledger.account(account.id, session.promised)
    rows_key = f"{_key(account)}{_ROWS}"
    is_afresh = rows_key in _assigned(session)
    through = None if is_afresh else state.through
    session.proof = None
    since = session.promised if through is None else through - OVERLAP
    ask: Ask = partial(session.site.export, account)
    try:
        done = request_longest(ask, since, session.today, since if through is None else through)
    except NeedsOwner:
        raise
    except SilentAnswerError as error:
        if through is None:
            yield from session.gaps.missed(_key(account), _unread(error), _locator(account))
        return
    except ProviderError as error:
        yield from session.gaps.missed(_key(account), _unread(error), _locator(account), error.retry_after)
        return
    yield from _taken(session, account, done)
    yield from _new_windows(account, state, done.why_shorter)
    is_whole = is_afresh and not any(read.broken for read in done.reads)
    yield from session.gaps.obtained([_key(account), *([rows_key] if is_whole else [])], session.proof)
    _go_on(done)


def _fill(session: SiteSession, accounts: dict[str, SiteAccount], gap: GapToClose) -> Iterator[Message]:
    about = window_of(gap)
    if about is None or about[0] not in accounts:
        return
    account, window = accounts[about[0]], about[1]
    state = session.ledger.account(account.id, session.promised)
    try:
        done = fill(partial(session.site.export, account), *window)
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield still_shortened(gap, account.id, str(error), error.retry_after)
        return
    session.proof = None
    yield from _taken(session, account, done)
    if done.span is None or done.span.since >= window.until:
        yield still_shortened(gap, account.id, done.why_shorter or "")
    else:
        yield from _narrowed(account, window, done)
        yield from _closed(session, gap)
        state.missing = state.holes()
    _go_on(done)


def _taken(session: SiteSession, account: SiteAccount, done: Exported) -> Iterator[Message]:
    for read in done.reads:
        yield from session.sent(account.id, read)
        if read.broken:
            why = f"{len(read.broken)} rows of the export cannot be read"
            key = f"{_key(account)}{_ROWS}"
            yield from session.gaps.missed(key, UnreadError(Reason.PARSE_FAILED, why), _locator(account))
    if done.span is not None:
        session.ledger.account(account.id, session.promised).cover(done.span)


def _narrowed(account: SiteAccount, window: Window, done: Exported) -> Iterator[Message]:
    """A gap for the rest of a period that is still missing."""
    if done.span is not None and done.span.since > window.since:
        yield shortened(account.id, Window(window.since, done.span.since), done.why_shorter or "")


def _closed(session: SiteSession, gap: GapToClose) -> Iterator[Message]:
    proof = session.proof
    if proof is None:
        # The site said that there is nothing in this period.
        yield session.gaps.vanished(gap)
    else:
        yield closed_by(proof, gap)


def _new_windows(account: SiteAccount, state: Account, why: str | None) -> Iterator[Message]:
    holes = state.holes()
    for window in holes:
        if window not in state.missing:
            yield shortened(account.id, window, f"The site gave a shorter period: {why or 'no export reaches there'}.")
    state.missing = holes


def _go_on(done: Exported) -> None:
    """Stop where the site said stop, now that what it gave is taken.

    Raises:
        ProviderError: only the owner can act on it.
    """
    if isinstance(done.stopped, NeedsOwner):
        raise done.stopped


def _unread(error: ProviderError) -> UnreadError:
    return UnreadError(reason_for(error), str(error))


def _assigned(session: SiteSession) -> set[str]:
    """The resources of the gaps to close."""
    return {resource_of(gap) for gap in session.gaps.resources()}


_KEY = "account:"
_ROWS = ":rows"
"""Rows of an account's export that could not be read; they are asked for again with the whole history."""


def _key(account: SiteAccount) -> str:
    return f"{_KEY}{account.id}"


def _locator(account: SiteAccount) -> dict[str, object]:
    return {"kind": "usaa.account", "account_id": account.id}
