"""The site's pages, each read with a guard: one without what it should hold has changed, it is not empty."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qs, urlsplit

from connectors.usaa.documents.figures import AMOUNT, dated_by, plain, read_day, signed_cents
from connectors.usaa.documents.identity import digest
from connectors.usaa.site import html
from connectors.usaa.site.html import Form, Node
from pdpp_worker.connector import ProviderError, Reason, ShapeError

DASHBOARD = "/my/usaa"
_ACCOUNT_PATH = re.compile(r"/my/(checking|savings|credit-card|loan|mortgage|investing|retirement)\b")
_LAST_FOUR = re.compile(r"(?<![*x\u2022])[*x\u2022]+\s?(\d{4})(?!\d)", re.IGNORECASE)
_MONEY = re.compile(rf"(?=.*\$)({AMOUNT})")
_LONGEST = 1_000
"""Letters of a link's text that are looked at."""
_DOCUMENT = re.compile(r"\.pdf\b|download|/documents?/", re.IGNORECASE)
_NO_STATEMENT = re.compile(r"\b(terms|agreement|notice|disclosure|condition)", re.IGNORECASE)

EXPORTED = frozenset(("checking", "savings", "credit_card"))
"""Kinds of account with transactions to export."""


class NotWiredError(ProviderError):
    """A page offers no export that this version can work."""

    reason = Reason.EXPORT_NOT_WIRED.value


@dataclass(frozen=True, slots=True)
class SiteAccount:
    """An account as the dashboard shows it."""

    id: str
    kind: str
    name: str | None
    last_four: str | None
    balance_cents: int | None
    href: str
    old_id: str | None = None
    """The id that the version before took from the whole text, the balance included, where the page names none."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document as the list of documents shows it."""

    id: str
    title: str
    delivered: date | None
    account_reference: str | None
    href: str | None
    base: str = ""
    """The id of the first of those with the same account, date and title."""

    @property
    def is_statement(self) -> bool:
        """Whether it is a statement of an account, by its title."""
        return "statement" in self.title.lower() and not _NO_STATEMENT.search(self.title)


def read_accounts(page: Node) -> list[SiteAccount]:
    """The accounts that the dashboard links, external ones excepted.

    Raises:
        ShapeError: it links none.
    """
    found: dict[str, SiteAccount] = {}
    for link in html.every(page, "a"):
        if (account := _account(link)) is not None:
            other = found.get(account.id)
            key = account.id if other is None or other.kind == account.kind else f"{account.id}-{account.kind}"
            found[key] = replace(account, id=key)
    if not found:
        raise ShapeError("the dashboard links no account")
    return list(found.values())


def find_export(page: Node) -> Form | None:
    """The form that exports transactions of a period, if the page has one."""
    forms = (html.form_of(node) for node in html.every(page, "form"))
    return next((one for one in forms if "selectionType" in {**one.values, **one.choices}), None)


def export_link(page: Node) -> str | None:
    """The link that leads to the export, if the page has one."""
    links = (link for link in html.every(page, "a") if html.text_of(link).lower().startswith("export"))
    return next((link.get("href") for link in links if link.get("href")), None)


def filled(form: Form, since: date, until: date) -> dict[str, str]:
    """The values that the form sends for a period, both days included.

    Raises:
        NotWiredError: it has no fields for a period.
    """
    names = {name.lower(): name for name in form.values}
    first = names.get("fromdate") or names.get("startdate")
    last = names.get("enddate") or names.get("todate")
    kinds = [one for one in form.choices.get("selectionType", []) if "range" in one.lower()]
    if first is None or last is None:
        raise NotWiredError("the export asks for no period")
    period = {first: f"{since:%m/%d/%Y}", last: f"{until:%m/%d/%Y}"}
    return {**form.values, **period, "selectionType": kinds[0] if kinds else "date-range"}


def read_documents(page: Node) -> list[Listed]:
    """The rows of the list of documents.

    Raises:
        ShapeError: there is no list with titles and dates.
    """
    cells, columns = _table(page, {"title": ("title", "document", "name"), "date": ("date",), "account": ("account",)})
    counts: Counter[str] = Counter()
    found: list[Listed] = []
    for row in cells:
        listed = _listed(row, columns)
        number = counts[listed.id]
        counts[listed.id] += 1
        found.append(replace(listed, id=listed.id if number == 0 else digest(listed.id, number)))
    return found


def read_messages(page: Node, today: date, known: Mapping[str, str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The rows of the bank's inbox, each with what it is known by while it is listed.

    A date without a year is the last such day up to today, when the row is met first; `known` holds the dates of rows
    that were listed before. Equal rows are told apart by a running number.

    Raises:
        ShapeError: there is no list with dates and messages.
    """
    wanted = {"status": ("status",), "date": ("date",), "message": ("message", "subject")}
    cells, columns = _table(page, wanted)
    counts: Counter[str] = Counter()
    for row in cells:
        texts = {name: html.text_of(row[at]) if at < len(row) else "" for name, at in columns.items()}
        day = None if (found := read_day(texts["date"])) is None else dated_by(today, found)
        same = digest(texts["date"], texts["message"])
        number = [f"#{counts[same]}"] if counts[same] else []
        counts[same] += 1
        mark = digest(same, *number)
        received = known.get(mark) or (None if day is None else day.isoformat())
        yield (
            mark,
            {
                "id": digest(received or texts["date"], texts["message"], *number),
                "date_received": received,
                "status": texts.get("status", "").lower() or None,
                "subject": texts["message"][:120] or None,
                "preview": texts["message"] or None,
            },
        )


def read_billing(page: Node) -> dict[str, str]:
    """The labels of a card's page and the values beside them, labels in lower case.

    Raises:
        ShapeError: not one of the known labels is there.
    """
    pieces = html.pieces(page)
    found: dict[str, str] = {}
    for piece, following in pairwise([*pieces, ""]):
        label = piece.strip(" :").lower()
        if label in _BILLING and following.strip(" :").lower() not in _BILLING:
            found.setdefault(label, following)
    if not found:
        raise ShapeError("the card's page names none of its terms")
    return found


_BILLING = frozenset(
    (
        "account nickname",
        "credit limit",
        "annual percent rate",
        "cash advance apr",
        "card holders",
        "current balance",
        "available credit",
        "cash rewards",
        "billing information",
    )
)


def _account(link: Node) -> SiteAccount | None:
    href = link.get("href")
    try:
        parts = urlsplit(href)
        query = {name.lower(): values[0] for name, values in parse_qs(parts.query).items()}
    except ValueError:
        if _ACCOUNT_PATH.search(href):
            raise ShapeError("the link of an account is no address") from None
        return None
    path = _ACCOUNT_PATH.search(parts.path)
    if path is None:
        return None
    text = plain(html.text_of(link))[:_LONGEST]
    last_four = None if (found := _LAST_FOUR.search(text)) is None else found[1]
    name = _LAST_FOUR.split(text)[0].strip(" -:") or None
    own = query.get("accountid") or query.get("acctid") or last_four
    money = _MONEY.search(text)
    kind, balance = path[1].replace("-", "_"), None if money is None else signed_cents(money[1])
    if own is not None:
        return SiteAccount(own, kind, name, last_four, balance, href)
    lasting = " ".join(_MONEY.sub(" ", text).split())
    return SiteAccount(digest(kind, lasting), kind, name, last_four, balance, href, digest(text))


def _table(page: Node, wanted: Mapping[str, Sequence[str]]) -> tuple[list[list[Node]], dict[str, int]]:
    """The rows below a header that names the wanted columns; the first of them may be missing from no table."""
    for table in html.every(page, "table"):
        cells = html.rows(table)
        for at, row in enumerate(cells):
            columns = _columns(row, wanted)
            if columns.keys() >= set(wanted) - {"account", "status"}:
                return [each for each in cells[at + 1 :] if len(each) > 1], columns
    raise ShapeError("the page has no list with " + " and ".join(wanted))


def _columns(row: Sequence[Node], wanted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    heads = [html.text_of(cell).lower() for cell in row]
    found: dict[str, int] = {}
    for name, spellings in wanted.items():
        at = next((at for at, head in enumerate(heads) if any(one in head for one in spellings)), None)
        if at is not None and at not in found.values():
            found[name] = at
    return found


def _listed(row: Sequence[Node], columns: dict[str, int]) -> Listed:
    texts = {name: html.text_of(row[at]) if at < len(row) else "" for name, at in columns.items()}
    links = [link.get("href") for cell in row for link in html.every(cell, "a")]
    day = read_day(texts["date"])
    key = digest(texts.get("account", ""), texts["date"], texts["title"])
    return Listed(
        key,
        texts["title"],
        None if day is None or day.year is None else dated_by(date.max, day),
        texts.get("account") or None,
        next((href for href in links if _DOCUMENT.search(href)), None),
        key,
    )
