"""Periods that the promised history has and no file covers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from connectors.usaa.gaps import Gaps, shortened, still_shortened, window_of
from connectors.usaa.inbox.cursor import Cursor
from connectors.usaa.ledger import Account
from connectors.usaa.records import RecordFactory
from pdpp_worker.connector import GapToClose, Message, closed_by

RETRY = timedelta(days=1)
"""A missing period is looked for again when the owner may have added a file."""
_ADD = "No file in the inbox covers it; add an export or the statements of this period."


class MissingPeriods:
    """Reports the missing periods of each account, and closes the gaps of those that are covered now."""

    def __init__(self, gaps: Gaps, cursor: Cursor, factory: RecordFactory) -> None:
        self._gaps = gaps
        self._cursor = cursor
        self._factory = factory

    def messages(self) -> Iterator[Message]:
        """Every promised period that no file covers, as soon as it is seen."""
        yield from self.assigned()
        for account, state in self._cursor.ledger.accounts.items():
            yield from self._new_windows(account, state)

    def _new_windows(self, account: str, state: Account) -> Iterator[Message]:
        holes = state.holes()
        for window in holes:
            if window not in state.missing:
                yield shortened(account, window, _ADD, self._factory.now() + RETRY)
        state.missing = holes

    def assigned(self) -> Iterator[Message]:
        """Report or close the periods that the assigned gaps name."""
        for gap in self._gaps.ranges:
            about = window_of(gap)
            if about is None:
                continue
            account, window = about
            state = self._cursor.ledger.accounts.get(account)
            if state is None:
                yield self._gaps.vanished(gap)
            elif state.left_of(window) == [window]:
                yield still_shortened(gap, account, _ADD, self._factory.now() + RETRY)
            else:
                yield from self._new_windows(account, state)
                yield from self._proved(account, gap)

    def _proved(self, account: str, gap: GapToClose) -> Iterator[Message]:
        for record in self._factory.account(account):
            yield record
            yield closed_by(record, gap)
