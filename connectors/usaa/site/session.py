"""The state of one slice at the site: the accounts, the coverage, the gaps to close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from connectors.usaa.aliases import inbox_accounts
from connectors.usaa.documents.identity import identified
from connectors.usaa.documents.reading import Read
from connectors.usaa.documents.templates import Template
from connectors.usaa.gaps import Gaps
from connectors.usaa.ledger import Ledger
from connectors.usaa.records import TRANSACTIONS, RecordFactory
from connectors.usaa.site.account_names import AccountNames
from connectors.usaa.site.client import Site
from connectors.usaa.site.pages import DASHBOARD, SiteAccount, read_accounts
from pdpp_worker.connector import Context, ProviderError, Record, Start, State, TimeRange

VERSION = 1


@dataclass(slots=True)
class SiteSession:
    """Shared by the parts of one slice."""

    start: Start
    site: Site
    factory: RecordFactory
    gaps: Gaps
    templates: Sequence[Template]
    today: date
    promised: date
    ledger: Ledger = field(init=False)
    statements: dict[str, str] = field(init=False)
    """Statements that were looked at: empty when read, else what was known when they could not be."""
    names: AccountNames = field(init=False)
    listed: dict[str, str] = field(default_factory=dict)
    """Messages that the inbox page shows, and the day of each."""
    failure: ProviderError | None = None
    """Why the dashboard could not be read."""
    history_days: int = 0
    accounts: list[SiteAccount] = field(default_factory=list)
    proof: Record | None = None

    def __post_init__(self) -> None:
        cursor = self.start.cursor(TRANSACTIONS)
        held = cursor.get("site") if isinstance(cursor, dict) else None
        known = held if isinstance(held, dict) and held.get("version") == VERSION else {}
        self.ledger = Ledger.load(known.get("accounts"))
        self.statements = dict(known.get("statements", {}))
        self.names = AccountNames.load(known, self.ledger.accounts.keys(), inbox_accounts(cursor))
        before = known.get("history_days")
        if before is not None:
            self.ledger.lengthen(self.history_days - before)
            self.history_days = max(self.history_days, before)

    def state(self, covered: TimeRange | None = None) -> State:
        """The position in all sources of transactions; at the end of a walk with the period that it covers."""
        raw = self.start.cursor(TRANSACTIONS)
        kept = raw if isinstance(raw, dict) else {}
        site = {
            "version": VERSION,
            "accounts": self.ledger.dump(),
            "statements": self.statements,
            "history_days": self.history_days,
            **self.names.dump(),
        }
        return State(stream=TRANSACTIONS, cursor={**kept, "site": site}, covered=covered)

    def find_accounts(self) -> list[SiteAccount]:
        """The accounts of the dashboard, which is asked for once in a slice.

        Raises:
            ProviderError: the dashboard could not be read.
        """
        if self.failure is not None:
            raise self.failure
        if not self.accounts:
            try:
                self.accounts = self.names.settle(read_accounts(self.site.page(DASHBOARD)))
            except ProviderError as error:
                self.failure = error
                raise
        return self.accounts

    def sent(self, account: str, read: Read) -> Iterator[Record]:
        """The transactions and the balance that a document gives; the last one is kept as proof."""
        for key, entry in identified(account, read.entries):
            for record in self.factory.transaction(account, key, entry, read.source):
                self.proof = record
                yield record
        if read.balance is not None:
            yield from self.factory.balance(account, *read.balance)


def open_session(
    start: Start, context: Context, factory: RecordFactory, templates: Sequence[Template], site: Site
) -> SiteSession:
    """The state with which a slice begins."""
    today = context.now().date()
    days = int(context.settings["history_days"])
    gaps = Gaps(start.detail_gaps[: start.budget.items])
    promised = today - timedelta(days=days)
    return SiteSession(start, site, factory, gaps, templates, today, promised, history_days=days)
