"""The connector through the real runtime, store, pacing and sweeps: statuses, and gaps that open and close."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import text

from connectors.usaa.connector import collect_with
from connectors.usaa.documents.templates import TEMPLATES, Template
from pdpp_worker import registry
from pdpp_worker.dispatch import request_run
from pdpp_worker.recovery.sweep import recover
from pdpp_worker.recovery.upgrade import sweep_upgrade
from pdpp_worker.runtime.slice import run_slice
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database
from tests.connectors.usaa.bank import CHECKING_ID, Bank, open_bank
from tests.connectors.usaa.owner import MANIFEST
from tests.connectors.usaa.papers import FEBRUARY, Row, card, checking, export, line
from tests.support.scripted import ScriptedConnector


class Account:
    """One connection of the connector."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, given: Mapping[str, Any], settings: Settings, db: Database, redis: Redis
    ) -> None:
        self._monkeypatch = monkeypatch
        self._parts = (settings, db, redis)
        self._settings = settings
        self._db = db
        with db.begin() as connection:
            connections.add(connection, "mine", "usaa", dict(given), {}, 1.0)

    def install(self, version: str, templates: Sequence[Template]) -> None:
        """Install a version of the connector that knows these layouts."""
        manifest = MANIFEST.model_copy(update={"version": version})
        connector = ScriptedConnector(manifest, "usaa", partial(collect_with, templates))
        self._monkeypatch.setattr(registry, "all_connectors", lambda: {"usaa": connector})

    def run(self) -> str:
        """A whole forward run; its status."""
        with self._db.begin() as connection:
            row = connections.get(connection, "mine")
        return self._work(request_run(self._db, row, trigger="manual", full=False)[0])

    def recover(self) -> list[str]:
        """Go back for everything that is missing; the statuses of the runs."""
        ids = [row["id"] for row in self.rows("SELECT id FROM connections")]
        return [self._work(ring.run_id) for ring in recover(self._settings, self._db, ids)]

    def upgrade(self) -> list[str]:
        """Run the upgrade sweep; the statuses of the runs that it starts."""
        return [self._work(ring.run_id) for ring in sweep_upgrade(self._settings, self._db)]

    def rows(self, query: str) -> list[dict[str, Any]]:
        """All rows of a query."""
        with self._db.begin() as connection:
            return [dict(row) for row in connection.execute(text(query)).mappings()]

    def amounts(self) -> list[int]:
        """The amounts of the transactions held, cents."""
        found = self.rows("SELECT data FROM records WHERE stream = 'transactions' AND deleted_at IS NULL ORDER BY key")
        return sorted(row["data"]["amount"] for row in found)

    def gaps(self, status: str = "open") -> list[tuple[str, dict[str, Any]]]:
        """Reason and scope of the gaps of a status."""
        found = self.rows("SELECT reason, scope, status FROM gaps ORDER BY id")
        return [(row["reason"], row["scope"]) for row in found if row["status"] == status]

    def _work(self, run_id: int) -> str:
        for _ in range(100):
            result = run_slice(*self._parts, run_id, stopping=lambda: False)
            if result is not None and result.status is not None:
                return result.status.value
        raise AssertionError("the run does not end")


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, inbox: Path, settings: Settings, db: Database, redis: Redis) -> Account:
    """A connection to the inbox that promises as much as two statements cover."""
    days = (datetime.now(UTC).date() - date(2025, 12, 16)).days
    return Account(monkeypatch, {"inbox": str(inbox), "history_days": days}, settings, db, redis)


JANUARY_PDF = checking([Row("01/05", "STORE", "-1.00")], closing=99_900)
FEBRUARY_PDF = checking([Row("02/05", "STORE", "-2.00")], period=FEBRUARY, opening=99_900, closing=99_700)
CARD_PDF = card([Row("01/02", "SHOP", "3.00", second_day="01/03")], closing=10_300)


def test_an_inbox_that_covers_what_was_promised_succeeds_and_stays_so(account: Account, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(JANUARY_PDF)

    assert account.run() == "succeeded"

    (inbox / "b.pdf").write_bytes(FEBRUARY_PDF)
    (inbox / "b.csv").write_bytes(export(line("02/05/2026", "STORE", "-2.00", category="Food")))
    assert account.run() == "succeeded"
    assert account.run() == "succeeded"
    assert account.amounts() == [-200, -100]
    assert account.gaps() == []


def test_a_file_in_trouble_makes_the_run_partial_and_its_recovery_closes_the_gap(account: Account, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(JANUARY_PDF)
    (inbox / "b.pdf").write_bytes(FEBRUARY_PDF[: len(FEBRUARY_PDF) // 2])
    assert account.run() == "partially_completed"
    assert account.gaps() == [("source_partition_failed", {"resource_id": "b.pdf"})]
    (inbox / "b.pdf").write_bytes(FEBRUARY_PDF)

    assert account.recover() == ["succeeded"]

    assert account.gaps("recovered") == [("source_partition_failed", {"resource_id": "b.pdf"})]
    assert account.amounts() == [-200, -100]


def test_a_missing_month_is_a_gap_until_its_statement_is_there(account: Account, inbox: Path) -> None:
    (inbox / "b.pdf").write_bytes(FEBRUARY_PDF)
    assert account.run() == "partially_completed"
    window = {"since": "2025-12-16", "until": "2026-01-16"}
    missing = [("range_shortened", {"partition": {"account_id": "1234"}, "range": window})]
    assert account.gaps() == missing

    assert account.recover() == ["failed"]
    assert account.gaps() == missing

    (inbox / "a.pdf").write_bytes(JANUARY_PDF)
    assert account.recover() == ["succeeded"]
    assert account.gaps("recovered") == missing
    assert account.run() == "succeeded"
    assert account.gaps("recovered") == missing


def test_a_newer_version_heals_what_an_older_one_did_not_know(account: Account, inbox: Path) -> None:
    bank_only = [template for template in TEMPLATES if template.kind != "credit_card"]
    account.install("1.0.0", bank_only)
    (inbox / "a.pdf").write_bytes(JANUARY_PDF)
    for number in range(3):
        paper = card([Row("01/02", f"SHOP {number}", "3.00", second_day="01/03")], closing=10_300)
        (inbox / f"card {number}.pdf").write_bytes(paper)

    assert account.run() == "partially_completed"
    assert [reason for reason, _ in account.gaps()] == ["template_unknown"] * 3
    marks = {row["mark"] for row in account.rows("SELECT detail_locator ->> 'template_fingerprint' AS mark FROM gaps")}
    assert len(marks) == 1
    assert account.upgrade() == []

    account.install("1.1.0", TEMPLATES)

    assert account.upgrade() == ["succeeded"]
    assert account.gaps() == []
    assert len(account.gaps("recovered")) == 3
    assert account.amounts() == [-300, -300, -300, -100]
    assert account.run() in ("succeeded", "partially_completed")
    assert account.amounts() == [-300, -300, -300, -100]


def test_a_newer_version_that_does_not_know_it_either_leaves_the_gap(account: Account, inbox: Path) -> None:
    account.install("1.0.0", TEMPLATES[1:])
    (inbox / "card.pdf").write_bytes(CARD_PDF)
    account.run()

    account.install("1.1.0", TEMPLATES[1:])

    assert account.upgrade() != ["succeeded"]
    assert [reason for reason, _ in account.gaps()] == ["template_unknown"]
    assert account.upgrade() == []


@pytest.fixture
def bank() -> Iterator[Bank]:
    """A site with a transaction every ten days for three years."""
    today = datetime.now(UTC).date()
    bank = Bank()
    bank.fill(today - timedelta(days=1000), today)
    with open_bank(bank):
        yield bank


def test_a_ladder_that_ends_shorter_than_promised_is_a_gap_of_exactly_the_missing_window(
    monkeypatch: pytest.MonkeyPatch, bank: Bank, settings: Settings, db: Database, redis: Redis
) -> None:
    account = Account(monkeypatch, {"base_url": bank.url}, settings, db, redis)
    today = datetime.now(UTC).date()
    bank.first_day = today - timedelta(days=400)

    assert account.run() == "partially_completed"

    range_ = {"since": str(today - timedelta(days=510)), "until": str(today - timedelta(days=365))}
    window = ("range_shortened", {"partition": {"account_id": CHECKING_ID}, "range": range_})
    assert window in account.gaps()
    held = len(account.amounts())

    bank.first_day = date.min
    account.recover()

    assert window in account.gaps("recovered")
    assert len(account.amounts()) > held
    assert bank.asked[-1] == (today - timedelta(days=510), today - timedelta(days=366))


def test_a_session_that_is_over_waits_for_the_owner_and_keeps_what_is_held(
    monkeypatch: pytest.MonkeyPatch, bank: Bank, settings: Settings, db: Database, redis: Redis
) -> None:
    account = Account(monkeypatch, {"base_url": bank.url}, settings, db, redis)
    account.run()
    held = account.amounts()
    bank.signed_in = False

    status = account.run()

    assert status in ("failed", "partially_completed")
    assert account.amounts() == held
    assert "credentials_expired" in {reason for reason, _ in account.gaps()}
