"""Items of which a document or the site says nothing are neither there nor absent: they are gaps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.connectors.usaa.bank import Bank, open_bank
from tests.connectors.usaa.owner import NOW, Owner, transactions
from tests.connectors.usaa.papers import FEBRUARY, Row, checking, export, line

pytestmark = pytest.mark.process  # PDFs are read in a process of their own

TODAY = NOW.date()
STATEMENT = checking([Row("01/05", "GROCERY", "-4.50")], closing=99_550)


def windows(owner: Owner) -> list[dict[str, Any]]:
    """The missing periods."""
    return [scope["range"] for reason, scope in owner.missing() if reason == "range_shortened"]


def test_adjacent_documents_whose_balances_contradict_leave_a_gap_at_their_border(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    later = checking([Row("02/01", "FUEL", "-9.00")], period=FEBRUARY, opening=250_000, closing=249_100)
    (inbox / "b.pdf").write_bytes(later)
    owner.run()

    assert {"since": "2026-01-15", "until": "2026-01-17"} in windows(owner)


def test_a_document_over_the_border_closes_that_gap(owner: Owner, inbox: Path) -> None:
    (inbox / "1.csv").write_bytes(export(line("01/10/2026", "GROCERY", "-4.50", "95.50")))
    (inbox / "2.csv").write_bytes(export(line("01/11/2026", "FUEL", "-9.00", "70.00")))
    owner.run()
    assert {"since": "2026-01-10", "until": "2026-01-12"} in windows(owner)
    lines = [line("01/11/2026", "FUEL", "-9.00", "70.00"), line("01/10/2026", "RENT", "-16.50", "79.00")]
    (inbox / "3.csv").write_bytes(export(*lines, line("01/10/2026", "GROCERY", "-4.50", "95.50")))

    owner.run()

    assert [one["until"] for one in windows(owner)] == ["2026-01-10"]


def test_balances_of_zero_do_not_prove_that_a_month_was_empty(owner: Owner, inbox: Path) -> None:
    paid = [Row("12/20", "IN", "5.00"), Row("01/05", "OUT", "-5.00")]
    (inbox / "a.pdf").write_bytes(checking(paid, opening=0, closing=0))
    march = (date(2026, 2, 16), date(2026, 3, 15))
    (inbox / "c.pdf").write_bytes(checking([], period=march, opening=0, closing=0))
    owner.run()

    assert {"since": "2026-01-16", "until": "2026-02-16"} in windows(owner)


@pytest.mark.parametrize("place", ["", "more"])
def test_an_inbox_or_folder_that_is_out_of_sight_closes_no_gap(owner: Owner, inbox: Path, place: str) -> None:
    (inbox / "more").mkdir()
    (inbox / "more" / "bad.csv").write_bytes(b"")
    (inbox / "a.pdf").write_bytes(STATEMENT)
    owner.run()
    (inbox / place).rename(inbox.parent / "unmounted")
    if not place:
        inbox.mkdir()

    owner.run()

    assert owner.reasons()


def test_an_empty_inbox_that_had_files_is_missing(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    owner.run()
    state = dict(owner.state)
    (inbox / "a.pdf").unlink()

    owner.run()

    assert owner.reasons() == ["source_partition_failed"] * 4
    assert owner.state == state


def test_more_history_that_is_promised_is_asked_for(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    owner.run()
    owner.settings = {**owner.settings, "history_days": 1000}

    owner.run()

    assert min(one["since"] for one in windows(owner)) == f"{TODAY - timedelta(days=1000)}"


def test_a_status_that_begins_with_posted_is_posted(owner: Owner, inbox: Path) -> None:
    text = b"Date,Description,Amount,Status\n01/05/2026,A,-1.00,Posted\n01/06/2026,B,-2.00,Posted (authorization 1)\n"
    (inbox / "e.csv").write_bytes(text + b"01/07/2026,C,-2.00,Not posted\n")

    owner.run()

    assert [text for _, _, text in transactions(owner)] == ["A", "B"]


@pytest.fixture
def visitor() -> Iterator[tuple[Bank, Owner]]:
    """An owner at the site."""
    bank = Bank()
    bank.fill(TODAY - timedelta(days=1000), TODAY)
    with open_bank(bank):
        yield bank, Owner({"base_url": bank.url})


@pytest.mark.parametrize("silent", [1, 4, 1000])
def test_an_export_without_rows_covers_nothing(
    visitor: tuple[Bank, Owner], silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, owner = visitor
    real, asked = Bank._export, bank.asked

    def answer(self: Bank, since: date, until: date) -> tuple[int, str, bytes]:
        if len(asked) < silent:
            asked.append((since, until))
            return 200, "text/csv", export()
        return real(self, since, until)

    monkeypatch.setattr(Bank, "_export", answer)
    owner.run()
    assert {reason for reason, _ in owner.missing()} != {"export_not_wired"}

    monkeypatch.setattr(Bank, "_export", real)
    owner.run()
    owner.run()
    assert not windows(owner)
    promised = TODAY - timedelta(days=510)
    assert len(transactions(owner)) == len([day for day, _, _ in bank.rows if day >= promised])


def test_more_history_at_the_site_is_fetched(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    owner.run()
    owner.settings = {**owner.settings, "history_days": 900}

    owner.run()
    owner.run()

    assert len(transactions(owner)) == len([day for day, _, _ in bank.rows if day >= TODAY - timedelta(days=900)])


def test_statements_of_one_title_and_date_are_all_read_in_whatever_order(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    papers = {
        "a": checking([Row("01/05", "OLDSTORE", "-4.50")], closing=99_550),
        "b": checking([Row("01/06", "SAVINGSROW", "-1.00")], account="7777", closing=99_900),
        "c": checking([Row("01/07", "THIRD", "-1.00")], account="8888", closing=99_900),
    }
    for names in (["a"], ["b", "a"], ["c", "a", "b"]):
        bank.statements = {name: papers[name] for name in names}
        listed = "".join(
            f'<tr><td>Account Statement</td><td>01/20/2026</td><td><a href="/docs/{name}.pdf">Download</a></td></tr>'
            for name in names
        )
        head = "<tr><th>Title</th><th>Date</th><th>Options</th></tr>"
        bank.pages["/my/documents"] = f"<html><table>{head}{listed}</table></html>"
        owner.run()

    assert {"OLDSTORE", "SAVINGSROW", "THIRD"} <= {text for _, _, text in transactions(owner)}
