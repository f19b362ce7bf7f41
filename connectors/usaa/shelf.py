"""Statements from the site: the list of documents, and each statement's PDF once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from connectors.usaa.documents import Paper, Read, UnreadError, open_paper, read_paper
from connectors.usaa.emitter import STATEMENTS
from connectors.usaa.export import account_in
from connectors.usaa.pages import Listed, NotWiredError, read_documents
from connectors.usaa.templates import knowledge
from connectors.usaa.world import World
from pdpp_worker.connector import (
    Message,
    NeedsOwner,
    ProviderError,
    reason_for,
    resource_of,
)

DOCUMENTS = "/my/documents"


def walk(world: World) -> Iterator[Message]:
    """Every listed document, and the PDF of each statement that was not read yet."""
    for listed in read_documents(world.site.page(DOCUMENTS)):
        held = world.statements.get(listed.id)
        handed = any(resource_of(gap) == listed.id for gap in world.gaps.resources())
        if listed.is_statement and (handed or held not in ("", knowledge(world.templates))):
            yield from _fetch(world, listed)
            yield world.state()
        elif held is None:
            world.statements[listed.id] = ""
            yield from world.emitter.record(STATEMENTS, _row(world, listed), partial=True)


def recover(world: World) -> Iterator[Message]:
    """Exactly the statements that gaps name; only the list tells where they are."""
    keys = {resource_of(gap) for gap in world.gaps.resources() if _is_ours(gap.detail_locator)}
    if keys:
        for listed in read_documents(world.site.page(DOCUMENTS)):
            if listed.id in keys:
                yield from _fetch(world, listed)


def _fetch(world: World, listed: Listed) -> Iterator[Message]:
    data = _row(world, listed)
    world.proof = None
    try:
        paper = _paper(world, listed)
        data |= paper.facts()
        read = read_paper(paper, world.templates)
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield from world.emitter.record(STATEMENTS, data, partial=True)
        yield from world.gaps.missed(
            listed.id, UnreadError(reason_for(error), str(error)), _locator(listed), error.retry_after
        )
        return
    except UnreadError as error:
        world.statements[listed.id] = knowledge(world.templates)
        yield from world.emitter.record(STATEMENTS, data, partial=True)
        yield from world.gaps.missed(listed.id, error, _locator(listed))
        return
    yield from _read(world, listed, data, read)


def _read(world: World, listed: Listed, data: dict[str, Any], read: Read) -> Iterator[Message]:
    account = data.get("account_id") or _account(world, read.account) or read.account or "unnamed"
    facts = {} if read.statement is None else world.emitter.statement_facts(account, read.statement)
    for record in world.emitter.record(STATEMENTS, {**data, **facts}, partial=True):
        world.proof = record
        yield record
    yield from world.sent(account, read)
    if read.span is not None:
        world.ledger.account(account, world.promised).cover(read.span)
    world.statements[listed.id] = ""
    yield from world.gaps.obtained([listed.id], world.proof)


def _paper(world: World, listed: Listed) -> Paper:
    if listed.href is None:
        raise NotWiredError("the list of documents has no link to this statement")
    data = world.site.document(listed.href)
    return open_paper(data, hashlib.sha256(data).hexdigest())


def _row(world: World, listed: Listed) -> dict[str, Any]:
    data: dict[str, Any] = {"id": listed.id, "title": listed.title, "account_reference": listed.account_reference}
    data["date_delivered"] = None if listed.delivered is None else listed.delivered.isoformat()
    last_four = account_in(f"{listed.account_reference or ''} {listed.title}")
    account = _account(world, last_four) or last_four
    return data if account is None else {**data, "account_id": account}


def _account(world: World, last_four: str | None) -> str | None:
    """The site's id of the account with these last digits, where only one has them."""
    found = [
        account.id for account in world.accounts if account.last_four is not None and account.last_four == last_four
    ]
    return found[0] if len(found) == 1 else None


def _is_ours(locator: dict[str, Any] | None) -> bool:
    return (locator or {}).get("kind") == _LOCATOR


_LOCATOR = "usaa.statement"


def _locator(listed: Listed) -> dict[str, object]:
    return {"kind": _LOCATOR, "statement_id": listed.id}
