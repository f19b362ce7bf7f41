"""What one slice on the road of the site knows: the accounts, the books of what is held, the gaps to close."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

from connectors.usaa.client import Site
from connectors.usaa.documents import Read
from connectors.usaa.emitter import TRANSACTIONS, Emitter
from connectors.usaa.gaps import Gaps
from connectors.usaa.identity import identified
from connectors.usaa.ledger import Ledger
from connectors.usaa.pages import SiteAccount, read_accounts
from connectors.usaa.templates import Template
from pdpp_worker.connector import Context, Record, Start, State, TimeRange

VERSION = 1


@dataclass(slots=True)
class World:
    """Shared by the parts of one slice."""

    start: Start
    site: Site
    emitter: Emitter
    gaps: Gaps
    templates: Sequence[Template]
    today: date
    promised: date
    ledger: Ledger = field(init=False)
    statements: dict[str, str] = field(init=False)
    """Statements that were looked at: empty when read, else what was known when they could not be."""
    accounts: list[SiteAccount] = field(default_factory=list)
    proof: Record | None = None

    def __post_init__(self) -> None:
        cursor = self.start.cursor(TRANSACTIONS)
        held = cursor.get("site") if isinstance(cursor, dict) else None
        known = held if isinstance(held, dict) and held.get("version") == VERSION else {}
        self.ledger = Ledger.load(known.get("accounts"))
        self.statements = dict(known.get("statements", {}))

    def state(self, covered: TimeRange | None = None) -> State:
        """The place in all that transactions come from; at the end of a walk with the period that it covers."""
        raw = self.start.cursor(TRANSACTIONS)
        kept = raw if isinstance(raw, dict) else {}
        site = {"version": VERSION, "accounts": self.ledger.dump(), "statements": self.statements}
        return State(stream=TRANSACTIONS, cursor={**kept, "site": site}, covered=covered)

    def find_accounts(self) -> list[SiteAccount]:
        """The accounts of the dashboard, which is asked for once in a slice.

        Raises:
            ProviderError: the dashboard could not be read.
        """
        if not self.accounts:
            self.accounts = read_accounts(self.site.page("/my/usaa"))
        return self.accounts

    def sent(self, account: str, read: Read) -> Iterator[Record]:
        """The transactions and the balance that a document gives; the last one is kept as proof."""
        for key, entry in identified(account, read.entries):
            for record in self.emitter.transaction(account, key, entry, read.source):
                self.proof = record
                yield record
        if read.balance is not None:
            yield from self.emitter.balance(account, *read.balance)


def make_world(start: Start, context: Context, emitter: Emitter, templates: Sequence[Template], site: Site) -> World:
    """What a slice begins with."""
    today = context.now().date()
    promised = today - timedelta(days=int(context.settings["history_days"]))
    gaps = Gaps(start.detail_gaps[: start.budget.items])
    return World(start, site, emitter, gaps, templates, today, promised)
