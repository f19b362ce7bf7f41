"""A small inbox that lives: exports are saved, replaced by longer ones, moved and renamed while they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from connectors.usaa.documents.identity import Posting, identified
from pdpp_worker.conformance.account import LivingAccount, RecordGroup
from pdpp_worker.conformance.adversary.living_files import LivingFiles, a_directory

_DAYS = 30
_EXPORT_DAYS = 10
_OPENING = 100_000


class LivingInbox(LivingFiles):
    """Exports of one account, a transaction a day and now and then two of one price."""

    def __init__(self, directory: Path, owner: int) -> None:
        noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
        super().__init__(directory, (noon - timedelta(days=3)).timestamp())
        self._account = f"{owner + 1}234"
        self._first = noon.date() - timedelta(days=_DAYS + 20)
        self.settings = {"inbox": str(directory), "history_days": 20}
        self._spans: dict[str, tuple[int, int]] = {}
        """File to the days that it covers: first, and the one after the last."""
        self._number, self._days = 0, 0
        for _ in range(_DAYS // _EXPORT_DAYS):
            self._save_next()
        self.events = {
            "an export is saved": lambda _: self._save_next(),
            "an export overlaps others": self._save_again,
            "a longer export over a shorter one": self._lengthen,
            "an export is renamed": self._rename,
        }

    def _save_next(self) -> None:
        if self._days < _DAYS + 20:
            self._days += _EXPORT_DAYS
            self._save(self._days - _EXPORT_DAYS, self._days)

    def _save_again(self, rng: Random) -> None:
        first = rng.randrange(self._days - 3)
        self._save(first, rng.randrange(first + 2, self._days) + 1)

    def _lengthen(self, rng: Random) -> None:
        name = rng.choice(sorted(self._spans))
        first, _ = self._spans[name]
        self._lay(name, first, self._days)

    def _rename(self, rng: Random) -> None:
        name = rng.choice(sorted(self._spans))
        self._number += 1
        other = f"account {self._account}/{rng.choice(('', 'older/'))}export {self._number}.csv"
        self.move(name, other)
        self._spans[other] = self._spans.pop(name)

    def _save(self, first: int, end: int) -> None:
        self._number += 1
        self._lay(f"account {self._account}/export {self._number}.csv", first, end)

    def _lay(self, name: str, first: int, end: int) -> None:
        self._spans[name] = first, end
        lines = [
            f"{one.day:%m/%d/%Y},{one.text},{one.cents / 100:.2f},{(one.balance_cents or 0) / 100:.2f}"
            for one in self._postings()
            if first <= (one.day - self._first).days < end
        ]
        self.write(name, "\n".join(["Date,Description,Amount,Balance", *lines, ""]).encode())

    def _postings(self) -> Iterator[Posting]:
        balance = _OPENING
        for number in range(self._days):
            for _ in range(2 if number % 7 == 0 else 1):
                cents = -500 - 10 * number
                balance += cents
                day = self._first + timedelta(days=number)
                yield Posting(day, cents, f"SHOP {self._account} {number}", balance_cents=balance)

    def expected_records(self) -> Sequence[RecordGroup]:
        """Every transaction that an export shows, and the balances at the ends of the exports."""
        keys = frozenset(key for key, _ in identified(self._account, list(self._postings())))
        return [
            RecordGroup("accounts", frozenset({self._account})),
            RecordGroup("transactions", keys),
            RecordGroup("account_stats", self._stats({end - 1 for _, end in self._spans.values()})),
        ]

    def may_be_held(self) -> Sequence[RecordGroup]:
        """Balances at the ends of exports that were replaced."""
        return [RecordGroup("account_stats", self._stats(set(range(self._days))))]

    def _stats(self, days: set[int]) -> frozenset[str]:
        return frozenset(f"{self._account}:{self._first + timedelta(days=day)}" for day in days)


@contextmanager
def open_living_account(owner: int) -> Iterator[LivingAccount]:
    """The inbox of an owner, while it is there."""
    with a_directory() as directory:
        yield LivingInbox(directory, owner)
