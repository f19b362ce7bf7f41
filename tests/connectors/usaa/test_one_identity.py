"""One transaction is one record, wherever its document lies, whatever it is called and by which road it came."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from connectors.usaa.site import html
from connectors.usaa.site.pages import read_accounts, read_messages
from pdpp_worker.connector import SourceAccount
from tests.connectors.usaa.bank import Bank, open_bank
from tests.connectors.usaa.owner import NOW, Owner, transactions
from tests.connectors.usaa.papers import Row, card, checking, export, line

GROCERY = line("01/05/2026", "GROCERY", "-4.50")
FUEL = line("02/05/2026", "FUEL", "-9.00")
STATEMENT = checking([Row("01/05", "GROCERY", "-4.50")], closing=99_550)
OTHER_ACCOUNT = checking([Row("01/06", "TOLL", "-1.00")], account="5678", closing=99_900)


def rows(owner: Owner) -> list[tuple[str, str]]:
    """Account and text of each transaction."""
    return sorted((one["account_id"], one["original_description"]) for one in owner.held("transactions"))


def to_account_folder(inbox: Path) -> None:
    (inbox / "checking 1234").mkdir()
    (inbox / "export.csv").rename(inbox / "checking 1234" / "export.csv")


def to_other_folder(inbox: Path) -> None:
    (inbox / "chk").rename(inbox / "Checking account")


@pytest.mark.parametrize(("name", "move"), [("export.csv", to_account_folder), ("chk/export.csv", to_other_folder)])
def test_a_document_that_moves_takes_its_transactions_along(
    owner: Owner, inbox: Path, name: str, move: Callable[[Path], None]
) -> None:
    (inbox / "chk").mkdir()
    (inbox / name).write_bytes(export(GROCERY))
    owner.run()
    move(inbox)

    owner.run()

    assert [text for _, text in rows(owner)] == ["GROCERY"]
    assert len(owner.held("accounts")) == 1


def test_a_document_that_was_away_for_a_while_is_known_again(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(OTHER_ACCOUNT)
    (inbox / "odd").mkdir()
    (inbox / "odd" / "export.csv").write_bytes(export(GROCERY))
    owner.run()
    (inbox / "odd" / "export.csv").rename(inbox.parent / "export.csv")
    owner.run()
    (inbox / "checking 1234").mkdir()
    (inbox.parent / "export.csv").rename(inbox / "checking 1234" / "export.csv")

    owner.run()

    assert rows(owner) == [("1234", "GROCERY"), ("5678", "TOLL")]


def test_a_longer_export_over_a_shorter_one_doubles_nothing_when_its_account_becomes_known(
    owner: Owner, inbox: Path
) -> None:
    (inbox / "export.csv").write_bytes(export(GROCERY))
    owner.run()
    (inbox / "export.csv").write_bytes(export(FUEL, GROCERY))
    (inbox / "a.pdf").write_bytes(STATEMENT)

    owner.run()

    assert rows(owner) == [("1234", "FUEL"), ("1234", "GROCERY")]


def test_a_document_that_is_read_later_tells_whose_an_earlier_one_is_in_the_same_run(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(export(GROCERY))
    (inbox / "b.csv").write_bytes(b"Account *1234\n" + export(GROCERY, FUEL))

    owner.run()

    assert rows(owner) == [("1234", "FUEL"), ("1234", "GROCERY")]


def test_a_second_account_takes_nothing_that_the_first_ones_statement_proves(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "export.csv").write_bytes(export(line("01/05/2026", "GROCERY", "-4.50", "995.50"), FUEL))
    owner.run()
    before = rows(owner)
    (inbox / "b.pdf").write_bytes(OTHER_ACCOUNT)

    owner.run()

    assert [one for one in rows(owner) if one[0] == "1234"] == before


def test_what_a_moving_document_leaves_behind_is_given_again_by_the_others(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/15", "GROCERY", "-4.50")], closing=99_550))
    (inbox / "export.csv").write_bytes(export(line("01/15/2026", "GROCERY", "-4.50", "995.50")))
    owner.run()
    (inbox / "card 9999").mkdir()
    (inbox / "export.csv").rename(inbox / "card 9999" / "export.csv")
    total = len(copy.deepcopy(owner).run())

    for cut in range(1, total + 1):
        piecewise = copy.deepcopy(owner)
        piecewise.run(cut=cut)
        piecewise.run()
        assert rows(piecewise) == [("1234", "GROCERY"), ("9999", "GROCERY")]
        assert "1234:2026-01-15" in {one["id"] for one in piecewise.held("account_stats")}


def test_the_period_of_a_document_goes_with_it(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "export.csv").write_bytes(export(*[line(f"0{n}/05/2025", f"S{n}", "-1.00") for n in range(1, 9)]))
    owner.run()
    (inbox / "b.pdf").write_bytes(OTHER_ACCOUNT)

    owner.run()

    assert len(owner.state["transactions"]["inbox"]["accounts"]["1234"]["spans"]) == 1


def test_equal_digits_of_a_card_and_an_account_are_two_accounts(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(checking([Row("01/05", "GROCERY", "-4.50")], account="9876", closing=99_550))
    (inbox / "b.pdf").write_bytes(card([Row("01/06", "FUEL", "$9.00")], account="9876", closing=10_900))

    owner.run()

    assert {one["type"]: one["last_four"] for one in owner.held("accounts")} == {
        "checking": "9876",
        "credit_card": "9876",
    }


@pytest.fixture
def visitor() -> Iterator[tuple[Bank, Owner]]:
    """An owner at the site."""
    bank = Bank()
    bank.fill(NOW.date() - timedelta(days=500), NOW.date())
    with open_bank(bank):
        yield bank, Owner({"base_url": bank.url})


@pytest.mark.parametrize("roads", ["site, inbox", "inbox, site"])
def test_the_same_transaction_by_both_roads_is_one(visitor: tuple[Bank, Owner], inbox: Path, roads: str) -> None:
    bank, owner = visitor
    (inbox / "checking 1234").mkdir()
    lines = [line(f"{day:%m/%d/%Y}", text, amount) for day, text, amount in bank.rows]
    (inbox / "checking 1234" / "export.csv").write_bytes(export(*lines))
    at_site = owner.settings

    for road in roads.split(", "):
        owner.settings = at_site if road == "site" else {"inbox": str(inbox)}
        owner.run()

    assert len(transactions(owner)) == len(bank.rows)
    assert len([one for one in owner.held("accounts") if one["last_four"] == "1234"]) == 1


def dashboard(tile: str) -> str:
    return f"<html><body>{tile}</body></html>"


def test_a_tile_without_a_number_is_the_same_account_whatever_its_balance(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    for balance in ("1,234.56", "1,200.00"):
        bank.pages["/my/usaa"] = dashboard(f'<a href="/my/checking"><b>Classic Checking</b> ${balance}</a>')
        owner.run()

    assert len(transactions(owner)) == len(bank.rows)
    assert len(owner.held("accounts")) == 1


def test_a_tile_keeps_the_key_that_the_version_before_took_from_its_balance(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    tile = '<a href="/my/checking"><b>Classic Checking</b> ${}</a>'
    [account] = read_accounts(html.parse(dashboard(tile.format("100.00"))))
    span = [["2024-09-28", "2026-02-20", None, None]]
    held = {str(account.old_id): {"promised": "2024-09-28", "spans": span, "missing": []}}
    owner.state["transactions"] = {"site": {"version": 1, "accounts": held, "statements": {}}}

    for balance in ("100.00", "120.00", "90.00"):
        bank.pages["/my/usaa"] = dashboard(tile.format(balance))
        owner.run()

    assert {one["id"] for one in owner.held("accounts")} == {account.old_id}


def test_another_login_is_another_account_at_the_source(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    first = next(one for one in owner.run() if isinstance(one, SourceAccount))
    again = next(one for one in owner.run() if isinstance(one, SourceAccount))
    bank.pages["/my/usaa"] = dashboard('<a href="/my/checking?accountId=other"><b>Spouse</b> <i>*4321</i> $5.00</a>')
    other = next(one for one in owner.run() if isinstance(one, SourceAccount))

    assert first.identity == again.identity != other.identity


def messages(texts: list[tuple[str, str]]) -> str:
    listed = "".join(f"<tr><td>Unread</td><td>{day}</td><td>{text}</td></tr>" for day, text in texts)
    return f"<html><table><tr><th>Status</th><th>Date</th><th>Message</th></tr>{listed}</table></html>"


def test_a_message_without_a_year_stays_what_it_is_when_the_year_ends(visitor: tuple[Bank, Owner]) -> None:
    bank, owner = visitor
    bank.pages["/my/inbox"] = messages([("Feb 10", "Hello")])
    owner.run()
    owner.now += timedelta(days=365)
    owner.run()

    assert [one["date_received"] for one in owner.held("inbox_messages")] == ["2026-02-10"]


def test_equal_messages_of_one_day_are_two() -> None:
    page = html.parse(messages([("Feb 10", "Your statement is ready")] * 2))

    assert len({data["id"] for _, data in read_messages(page, date(2026, 2, 20), {})}) == 2


@pytest.mark.parametrize("moved", ["a.csv", "b.csv"])
def test_the_name_of_an_account_does_not_hang_on_what_was_read_last(owner: Owner, inbox: Path, moved: str) -> None:
    folder = inbox / "checking 1234"
    (folder / "older").mkdir(parents=True)
    (folder / "a.csv").write_bytes(export(GROCERY))
    (folder / "b.csv").write_bytes(export(FUEL))
    owner.run()
    (folder / moved).rename(folder / "older" / moved)

    owner.run()

    assert [one["name"] for one in owner.held("accounts")] == ["checking 1234"]


def test_an_account_is_named_anew_when_all_of_its_documents_have_moved(owner: Owner, inbox: Path) -> None:
    (inbox / "chk 1234").mkdir()
    (inbox / "chk 1234" / "a.csv").write_bytes(export(GROCERY))
    owner.run()
    (inbox / "chk 1234").rename(inbox / "household 1234")

    owner.run()

    assert [one["name"] for one in owner.held("accounts")] == ["household 1234"]
