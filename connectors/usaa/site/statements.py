"""Statements from the site: the list of documents, and each statement's PDF once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from connectors.usaa.documents.export import account_in
from connectors.usaa.documents.reading import Paper, Read, UnreadError, open_paper, read_paper
from connectors.usaa.documents.templates import knowledge
from connectors.usaa.records import STATEMENTS
from connectors.usaa.site.pages import Listed, NotWiredError, read_documents
from connectors.usaa.site.session import SiteSession
from pdpp_worker.connector import Message, NeedsOwner, ProviderError, reason_for, resource_of

DOCUMENTS = "/my/documents"


def walk(session: SiteSession) -> Iterator[Message]:
    """Every listed document, and the PDF of each statement that was not read yet."""
    documents = read_documents(session.site.page(DOCUMENTS))
    # Which of several with one title and date is the new one nobody can say, so all of them are read again.
    grown = {listed.base for listed in documents if listed.id not in session.statements and listed.id != listed.base}
    for listed in documents:
        held = None if listed.base in grown else session.statements.get(listed.id)
        assigned = any(resource_of(gap) == listed.id for gap in session.gaps.resources())
        if listed.is_statement and (assigned or held not in ("", knowledge(session.templates))):
            yield from _fetch(session, listed)
            yield session.state()
        elif held is None:
            session.statements[listed.id] = ""
            yield from session.factory.record(STATEMENTS, _row(session, listed), partial=True)


def recover(session: SiteSession) -> Iterator[Message]:
    """Exactly the statements that gaps name; only the list tells where they are."""
    keys = {resource_of(gap) for gap in session.gaps.resources() if _is_ours(gap.detail_locator)}
    if keys:
        for listed in read_documents(session.site.page(DOCUMENTS)):
            if listed.id in keys:
                yield from _fetch(session, listed)


def _fetch(session: SiteSession, listed: Listed) -> Iterator[Message]:
    data = _row(session, listed)
    session.proof = None
    try:
        paper = _paper(session, listed)
        data |= paper.facts()
        read = read_paper(paper, session.templates)
    except NeedsOwner:
        raise
    except ProviderError as error:
        yield from session.factory.record(STATEMENTS, data, partial=True)
        yield from session.gaps.missed(
            listed.id, UnreadError(reason_for(error), str(error)), _locator(listed), error.retry_after
        )
        return
    except UnreadError as error:
        session.statements[listed.id] = knowledge(session.templates)
        yield from session.factory.record(STATEMENTS, data, partial=True)
        yield from session.gaps.missed(listed.id, error, _locator(listed))
        return
    yield from _read(session, listed, data, read)


def _read(session: SiteSession, listed: Listed, data: dict[str, Any], read: Read) -> Iterator[Message]:
    account = data.get("account_id") or _account(session, read.account) or read.account or "unnamed"
    facts = {} if read.statement is None else session.factory.statement_facts(account, read.statement)
    for record in session.factory.record(STATEMENTS, {**data, **facts}, partial=True):
        session.proof = record
        yield record
    yield from session.sent(account, read)
    if read.span is not None:
        session.ledger.account(account, session.promised).cover(read.span)
    session.statements[listed.id] = ""
    yield from session.gaps.obtained([listed.id], session.proof)


def _paper(session: SiteSession, listed: Listed) -> Paper:
    if listed.href is None:
        raise NotWiredError("the list of documents has no link to this statement")
    data = session.site.document(listed.href)
    return open_paper(data, hashlib.sha256(data).hexdigest())


def _row(session: SiteSession, listed: Listed) -> dict[str, Any]:
    data: dict[str, Any] = {"id": listed.id, "title": listed.title, "account_reference": listed.account_reference}
    data["date_delivered"] = None if listed.delivered is None else listed.delivered.isoformat()
    last_four = account_in(f"{listed.account_reference or ''} {listed.title}")
    account = _account(session, last_four) or last_four
    return data if account is None else {**data, "account_id": account}


def _account(session: SiteSession, last_four: str | None) -> str | None:
    """The site's id of the account with these last digits, where only one has them."""
    found = [
        account.id for account in session.accounts if account.last_four is not None and account.last_four == last_four
    ]
    return found[0] if len(found) == 1 else None


def _is_ours(locator: dict[str, Any] | None) -> bool:
    return (locator or {}).get("kind") == _LOCATOR


_LOCATOR = "usaa.statement"


def _locator(listed: Listed) -> dict[str, object]:
    return {"kind": _LOCATOR, "statement_id": listed.id}
