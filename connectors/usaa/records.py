"""The records of this connector, made by one class for both sources."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from typing import Any

from connectors.usaa.documents.identity import Posting
from connectors.usaa.documents.kinds import kind_of_text
from connectors.usaa.documents.statement import Statement
from pdpp_worker.connector import Record

ACCOUNTS, STATS, TRANSACTIONS, STATEMENTS = "accounts", "account_stats", "transactions", "statements"
MESSAGES, BILLING, BILLING_STATS = "inbox_messages", "credit_card_billing", "credit_card_billing_stats"

FROM_EXPORT = "csv_export"


class RecordFactory:
    """Makes records of the streams that are wanted; of another stream nothing is made."""

    def __init__(self, wanted: frozenset[str], now: Callable[[], datetime]) -> None:
        self.wanted = wanted
        self.now = now

    def record(self, stream: str, data: dict[str, Any], *, partial: bool = False) -> Iterator[Record]:
        """One record, keyed by its id; a partial one is laid over what is held."""
        if stream in self.wanted:
            yield Record(stream=stream, key=data["id"], data=data, emitted_at=self.now(), partial=partial)

    def deletion(self, stream: str, key: str) -> Iterator[Record]:
        """The word that a record is no more."""
        if stream in self.wanted:
            yield Record(stream=stream, key=key, data={"id": key}, emitted_at=self.now(), op="delete")

    def transaction(
        self, account: str, key: str, entry: Posting, source: str, *, is_card: bool = False
    ) -> Iterator[Record]:
        """A transaction, as far as the document tells; another document's fields stay as they are."""
        told = {
            "kind": entry.kind or kind_of_text(entry.text, entry.check_number, is_card_account=is_card),
            "description": entry.description,
            "category": entry.category,
            "check_number": entry.check_number,
            "extra": None if entry.extra is None else dict(entry.extra),
            "balance_after_cents": entry.balance_cents,
            "transaction_date": None if entry.made_on is None else entry.made_on.isoformat(),
        }
        data = {
            "id": key,
            "account_id": account,
            "date": entry.day.isoformat(),
            "amount": entry.cents,
            "currency": "USD",
            "original_description": entry.text,
            "source": source,
        }
        told = {name: value for name, value in told.items() if value is not None}
        yield from self.record(TRANSACTIONS, {**data, **told}, partial=True)

    def account(self, key: str, **told: str | None) -> Iterator[Record]:
        """An account, as far as anything tells of it."""
        known = {name: value for name, value in told.items() if value is not None}
        yield from self.record(ACCOUNTS, {"id": key, **known}, partial=True)

    def balance(self, account: str, day: date, cents: int) -> Iterator[Record]:
        """The balance of an account at the end of a day."""
        data = {"id": f"{account}:{day}", "account_id": account, "observed_on": f"{day}", "balance_cents": cents}
        yield from self.record(STATS, data)

    def statement_facts(self, account: str, statement: Statement) -> dict[str, Any]:
        """The fields of a statement's record that the statement itself tells."""
        return {
            "account_id": account,
            "period_start": statement.since.isoformat(),
            "period_end": statement.closed_on.isoformat(),
            "opening_balance_cents": statement.opening,
            "closing_balance_cents": statement.closing,
            "template": statement.template,
            **statement.terms,
        }


def source_of(statement: Statement) -> str:
    """The provenance of a transaction that a statement shows: the month in which its period ends."""
    return f"pdf_statement_{statement.closed_on:%Y-%m}"
