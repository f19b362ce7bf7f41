"""Reads the site: the owner's signed-in session, part after part, until the site says stop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from connectors.usaa.documents.figures import signed_cents
from connectors.usaa.documents.templates import Template
from connectors.usaa.gaps import covered_by
from connectors.usaa.records import (
    ACCOUNTS,
    BILLING,
    BILLING_STATS,
    MESSAGES,
    STATEMENTS,
    STATS,
    TRANSACTIONS,
    RecordFactory,
)
from connectors.usaa.site import history, statements
from connectors.usaa.site.client import Site
from connectors.usaa.site.inventory import inventory
from connectors.usaa.site.pages import SiteAccount, read_billing, read_messages
from connectors.usaa.site.session import SiteSession, open_session
from pdpp_worker.connector import (
    Context,
    Message,
    Phase,
    ProviderError,
    Start,
    State,
    account_named,
    run_phases,
)


def collect_site(
    start: Start, context: Context, factory: RecordFactory, templates: Sequence[Template]
) -> Iterator[Message]:
    """Close the known gaps, then walk every page. The first word that the session is over ends all asking."""
    with context.http(base_url=str(context.settings["base_url"]), headers={"accept": "*/*"}) as client:
        session = open_session(start, context, factory, templates, Site(client))
        yield from _whose(session)
        if start.recovery_only:
            phases = [Phase((), partial(messages, session)) for messages in (history.recover, statements.recover)]
            yield from run_phases(phases if TRANSACTIONS in factory.wanted else [], otherwise=[TRANSACTIONS])
            return
        yield inventory()
        # A STATE is not kept once its stream was skipped, so the skips come last.
        yield from run_phases(_phases(session), finish=partial(_states, session))


def _whose(session: SiteSession) -> Iterator[Message]:
    """Whose dashboard it is; where it cannot be read, the parts that need it say why."""
    try:
        session.find_accounts()
    except ProviderError:
        return
    if session.names.owner is not None:
        yield account_named(session.names.owner)


def _phases(session: SiteSession) -> list[Phase]:
    parts: tuple[tuple[tuple[str, ...], Callable[[SiteSession], Iterator[Message]]], ...] = (
        ((ACCOUNTS, STATS), _accounts),
        ((TRANSACTIONS,), history.recover),
        ((TRANSACTIONS,), history.walk),
        ((STATEMENTS, TRANSACTIONS), statements.walk),
        ((MESSAGES,), _messages),
        ((BILLING, BILLING_STATS), _billing),
    )
    wanted = session.factory.wanted
    return [
        Phase(tuple(one for one in streams if one in wanted), partial(messages, session))
        for streams, messages in parts
        if wanted.intersection(streams)
    ]


def _states(session: SiteSession, failed: Collection[str]) -> Iterator[Message]:
    for stream in sorted(session.factory.wanted - {*failed, TRANSACTIONS}):
        listed = {"listed": session.listed} if stream == MESSAGES else {}
        yield State(stream=stream, cursor={"road": "site", "walked_on": session.today.isoformat(), **listed})
    if TRANSACTIONS in session.factory.wanted:
        yield session.state(None if TRANSACTIONS in failed else covered_by(session.ledger))


def _accounts(session: SiteSession) -> Iterator[Message]:
    for account in session.find_accounts():
        yield from session.factory.account(
            account.id, name=account.name, type=account.kind, last_four=account.last_four, status="open"
        )
        if account.balance_cents is not None:
            yield from session.factory.balance(account.id, session.today, account.balance_cents)


def _messages(session: SiteSession) -> Iterator[Message]:
    cursor = session.start.cursor(MESSAGES)
    known = cursor.get("listed") if isinstance(cursor, dict) else None
    page = session.site.page("/my/inbox")
    for mark, data in read_messages(page, session.today, known if isinstance(known, dict) else {}):
        if data["date_received"] is not None:
            session.listed[mark] = data["date_received"]
        yield from session.factory.record(MESSAGES, data)


def _billing(session: SiteSession) -> Iterator[Message]:
    for account in session.find_accounts():
        if account.kind == "credit_card":
            yield from _card(session, account)


def _card(session: SiteSession, account: SiteAccount) -> Iterator[Message]:
    terms = read_billing(session.site.page(account.href))
    yield from session.factory.record(BILLING, _terms(account, terms))
    yield from session.factory.record(BILLING_STATS, _balances(session, account, terms))


def _terms(account: SiteAccount, terms: dict[str, str]) -> dict[str, Any]:
    return {
        "id": account.id,
        "account_id": account.id,
        "account_nickname": terms.get("account nickname"),
        "credit_limit_cents": signed_cents(terms.get("credit limit", "")),
        "annual_percent_rate": terms.get("annual percent rate"),
        "cash_advance_apr": terms.get("cash advance apr"),
        "card_holders": terms.get("card holders"),
    }


def _balances(session: SiteSession, account: SiteAccount, terms: dict[str, str]) -> dict[str, Any]:
    status = terms.get("billing information")
    return {
        "id": f"{account.id}:{session.today}",
        "card_id": account.id,
        "account_id": account.id,
        "observed_on": session.today.isoformat(),
        "current_balance_cents": signed_cents(terms.get("current balance", "")),
        "available_credit_cents": signed_cents(terms.get("available credit", "")),
        "cash_rewards_cents": signed_cents(terms.get("cash rewards", "")),
        "billing_status": status,
        "minimum_payment_met": None if status is None else "payment met" in status.lower() or None,
    }
