"""The road of the site: the owner's signed-in session, part after part, until the site says stop."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from typing import Any

from connectors.usaa import history, shelf
from connectors.usaa.client import Site
from connectors.usaa.emitter import (
    ACCOUNTS,
    BILLING,
    BILLING_STATS,
    MESSAGES,
    STATEMENTS,
    STATS,
    TRANSACTIONS,
    Emitter,
)
from connectors.usaa.figures import signed_cents
from connectors.usaa.gaps import covered_by
from connectors.usaa.pages import SiteAccount, read_billing, read_messages
from connectors.usaa.templates import Template
from connectors.usaa.world import World, make_world
from pdpp_worker.connector import (
    Context,
    Message,
    Phase,
    Start,
    State,
    run_phases,
)


def collect_site(start: Start, context: Context, emitter: Emitter, templates: Sequence[Template]) -> Iterator[Message]:
    """Close the known gaps, then walk every page. The first word that the session is over ends all asking."""
    with context.http(base_url=str(context.settings["base_url"]), headers={"accept": "*/*"}) as client:
        world = make_world(start, context, emitter, templates, Site(client))
        if start.recovery_only:
            phases = [Phase((), partial(messages, world)) for messages in (history.recover, shelf.recover)]
            yield from run_phases(phases if TRANSACTIONS in emitter.wanted else [], otherwise=[TRANSACTIONS])
            return
        # No place is kept after the word that its stream failed, so that word comes last.
        yield from run_phases(_phases(world), finish=partial(_states, world))


def _phases(world: World) -> list[Phase]:
    parts: tuple[tuple[tuple[str, ...], Callable[[World], Iterator[Message]]], ...] = (
        ((ACCOUNTS, STATS), _accounts),
        ((TRANSACTIONS,), history.recover),
        ((TRANSACTIONS,), history.walk),
        ((STATEMENTS, TRANSACTIONS), shelf.walk),
        ((MESSAGES,), _messages),
        ((BILLING, BILLING_STATS), _billing),
    )
    wanted = world.emitter.wanted
    return [
        Phase(tuple(one for one in streams if one in wanted), partial(messages, world))
        for streams, messages in parts
        if wanted.intersection(streams)
    ]


def _states(world: World, failed: Collection[str]) -> Iterator[Message]:
    for stream in sorted(world.emitter.wanted - {*failed, TRANSACTIONS}):
        yield State(stream=stream, cursor={"road": "site", "walked_on": world.today.isoformat()})
    if TRANSACTIONS in world.emitter.wanted:
        yield world.state(None if TRANSACTIONS in failed else covered_by(world.ledger))


def _accounts(world: World) -> Iterator[Message]:
    for account in world.find_accounts():
        yield from world.emitter.account(
            account.id, name=account.name, type=account.kind, last_four=account.last_four, status="open"
        )
        if account.balance_cents is not None:
            yield from world.emitter.balance(account.id, world.today, account.balance_cents)


def _messages(world: World) -> Iterator[Message]:
    for data in read_messages(world.site.page("/my/inbox"), world.today):
        yield from world.emitter.record(MESSAGES, data)


def _billing(world: World) -> Iterator[Message]:
    for account in world.find_accounts():
        if account.kind == "credit_card":
            yield from _card(world, account)


def _card(world: World, account: SiteAccount) -> Iterator[Message]:
    terms = read_billing(world.site.page(account.href))
    yield from world.emitter.record(BILLING, _terms(account, terms))
    yield from world.emitter.record(BILLING_STATS, _balances(world, account, terms))


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


def _balances(world: World, account: SiteAccount, terms: dict[str, str]) -> dict[str, Any]:
    status = terms.get("billing information")
    return {
        "id": f"{account.id}:{world.today}",
        "card_id": account.id,
        "account_id": account.id,
        "observed_on": world.today.isoformat(),
        "current_balance_cents": signed_cents(terms.get("current balance", "")),
        "available_credit_cents": signed_cents(terms.get("available credit", "")),
        "cash_rewards_cents": signed_cents(terms.get("cash rewards", "")),
        "billing_status": status,
        "minimum_payment_met": None if status is None else "payment met" in status.lower() or None,
    }
