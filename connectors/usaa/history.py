"""Transactions by export: each account from where it is covered, and the periods that are known to be missing."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from connectors.usaa.documents import UnreadError
from connectors.usaa.gaps import shortened, still_shortened, window_of
from connectors.usaa.ladder import OVERLAP, Ask, Exported, climb, fill
from connectors.usaa.ledger import Account, Window
from connectors.usaa.pages import EXPORTED, SiteAccount
from connectors.usaa.world import World
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


def walk(world: World) -> Iterator[Message]:
    """Every account from where it is covered on, then its missing periods."""
    for account in world.find_accounts():
        if account.kind in EXPORTED:
            yield from _export(world, account)
            yield world.state()


def recover(world: World) -> Iterator[Message]:
    """The periods that gaps name; in a run for gaps only, the accounts that gaps name as well."""
    if world.gaps.ranges:
        accounts = {account.id: account for account in world.find_accounts()}
        for gap in world.gaps.ranges:
            yield from _fill(world, accounts, gap)
    if world.start.recovery_only:
        keys = {key.removesuffix(_ROWS) for key in _handed(world) if key.startswith(_KEY)}
        if keys:
            for account in world.find_accounts():
                if _key(account) in keys:
                    yield from _export(world, account)


def _export(world: World, account: SiteAccount) -> Iterator[Message]:
    state = world.ledger.account(account.id, world.promised)
    rows_key = f"{_key(account)}{_ROWS}"
    is_afresh = rows_key in _handed(world)
    through = None if is_afresh else state.through
    world.proof = None
    since = world.promised if through is None else through - OVERLAP
    ask: Ask = partial(world.site.export, account)
    try:
        done = climb(ask, since, world.today, since if through is None else through)
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield from world.gaps.missed(_key(account), _unread(error), _locator(account), error.retry_after)
        return
    yield from _taken(world, account, done)
    yield from _new_windows(account, state, done.why_shorter)
    is_whole = is_afresh and not any(read.broken for read in done.reads)
    yield from world.gaps.obtained([_key(account), *([rows_key] if is_whole else [])], world.proof)
    _go_on(done)


def _fill(world: World, accounts: dict[str, SiteAccount], gap: GapToClose) -> Iterator[Message]:
    about = window_of(gap)
    if about is None or about[0] not in accounts:
        return
    account, window = accounts[about[0]], about[1]
    state = world.ledger.account(account.id, world.promised)
    try:
        done = fill(partial(world.site.export, account), *window)
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield still_shortened(gap, account.id, str(error), error.retry_after)
        return
    world.proof = None
    yield from _taken(world, account, done)
    if done.span is None or done.span.since >= window.until:
        yield still_shortened(gap, account.id, done.why_shorter or "")
    else:
        yield from _narrowed(account, window, done)
        yield from _closed(world, gap)
        state.missing = state.holes()
    _go_on(done)


def _taken(world: World, account: SiteAccount, done: Exported) -> Iterator[Message]:
    for read in done.reads:
        yield from world.sent(account.id, read)
        if read.broken:
            why = f"{len(read.broken)} rows of the export cannot be read"
            key = f"{_key(account)}{_ROWS}"
            yield from world.gaps.missed(key, UnreadError(Reason.PARSE_FAILED, why), _locator(account))
    if done.span is not None:
        world.ledger.account(account.id, world.promised).cover(done.span)


def _narrowed(account: SiteAccount, window: Window, done: Exported) -> Iterator[Message]:
    """What is still missing of a period, as a gap of its own."""
    if done.span is not None and done.span.since > window.since:
        yield shortened(account.id, Window(window.since, done.span.since), done.why_shorter or "")


def _closed(world: World, gap: GapToClose) -> Iterator[Message]:
    proof = world.proof
    if proof is None:
        # The site said that there is nothing in this period.
        yield world.gaps.vanished(gap)
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
        ProviderError: only the owner can mend it.
    """
    if isinstance(done.stopped, NeedsOwner):
        raise done.stopped


def _unread(error: ProviderError) -> UnreadError:
    return UnreadError(reason_for(error), str(error))


def _handed(world: World) -> set[str]:
    """What the gaps to close are about."""
    return {resource_of(gap) for gap in world.gaps.resources()}


_KEY = "account:"
_ROWS = ":rows"
"""Rows of an account's export that could not be read; they are asked for again with the whole history."""


def _key(account: SiteAccount) -> str:
    return f"{_KEY}{account.id}"


def _locator(account: SiteAccount) -> dict[str, object]:
    return {"kind": "usaa.account", "account_id": account.id}
