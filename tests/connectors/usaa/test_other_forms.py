"""Exports of other forms give the same transactions as the newer ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.connectors.usaa.owner import Owner, transactions
from tests.connectors.usaa.papers import export, line

FORMER = b"""posted,,01/05/2026,,CORNER BAKERY 114,Restaurants/Dining,-6.20
posted,,01/04/2026,,EMPLOYER DIRECT DEP,Paychecks/Salary,--1500.00
posted,,01/03/2026,,INTEREST,Interest,0.20
forecasted,,01/28/2026,,RENT,Mortgages,-900.00
"""
OFX = b"""OFXHEADER:100
DATA:OFXSGML

<OFX><BANKMSGSRSV1><STMTTRNRS><STMTRS><CURDEF>USD<BANKACCTFROM><BANKID>1<ACCTID>0001234</BANKACCTFROM>
<BANKTRANLIST><DTSTART>20260101<DTEND>20260120
<STMTTRN><TRNTYPE>DEBIT<DTPOSTED>20260105120000<TRNAMT>-6.20<FITID>1<NAME>CORNER BAKERY 114</STMTTRN>
<STMTTRN><TRNTYPE>CREDIT<DTPOSTED>20260104<TRNAMT>1500.00<FITID>2<NAME>EMPLOYER<MEMO>EMPLOYER DIRECT DEP</STMTTRN>
<STMTTRN><TRNTYPE>INT<DTPOSTED>20260103<TRNAMT>.20<FITID>3<NAME>INTEREST
</BANKTRANLIST><LEDGERBAL><BALAMT>100.00<DTASOF>20260120</LEDGERBAL></STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>
"""
XML = b'<?xml version="1.0"?><?OFX OFXHEADER="200"?>' + OFX.partition(b"\n\n")[2].replace(
    b"-6.20", b"-6.20</TRNAMT>"
).replace(b"BAKERY 114", b"BAKERY 114</NAME>")
QIF = b"""!Type:Bank
D1/5/2026
T-6.20
PCORNER BAKERY 114
^
D1/4'26
T1,500.00
PEMPLOYER DIRECT DEP
^
D1/ 3'26
T.20
PINTEREST
^
"""
ROWS = [
    line("01/05/2026", "CORNER BAKERY 114", "-6.20"),
    line("01/04/2026", "EMPLOYER DIRECT DEP", "1500.00"),
    line("01/03/2026", "INTEREST", "0.20"),
]


@pytest.mark.parametrize("content", [FORMER, OFX, XML, QIF], ids=["former csv", "ofx", "ofx as xml", "qif"])
def test_another_form_of_an_export_adds_nothing_to_the_newer_one(owner: Owner, inbox: Path, content: bytes) -> None:
    (inbox / "checking 1234").mkdir()
    (inbox / "checking 1234" / "bk_download").write_bytes(content)
    owner.run()
    alone = transactions(owner)
    (inbox / "checking 1234" / "export.csv").write_bytes(export(*ROWS))

    owner.run()

    assert [cents for _, cents, _ in alone] == [20, 150_000, -620]
    assert transactions(owner) == alone
    assert owner.reasons() == []


def test_an_ofx_file_names_its_account_and_balance(owner: Owner, inbox: Path) -> None:
    (inbox / "statement.ofx").write_bytes(OFX)

    owner.run()

    assert [(one["id"], one["balance_cents"]) for one in owner.held("account_stats")] == [("1234:2026-01-20", 10_000)]


def test_a_transaction_that_cannot_be_read_is_a_gap_and_the_others_stand(owner: Owner, inbox: Path) -> None:
    (inbox / "statement.ofx").write_bytes(OFX.replace(b"<DTPOSTED>20260104", b"<DTPOSTED>soon"))

    owner.run()

    assert len(transactions(owner)) == 2
    assert owner.reasons() == ["parse_failed"]


def test_an_ofx_file_of_two_accounts_is_refused(owner: Owner, inbox: Path) -> None:
    statement = OFX.partition(b"<STMTRS>")[2].partition(b"</STMTRS>")[0]
    other = b"<STMTRS>" + statement.replace(b"0001234", b"0005678") + b"</STMTRS>"
    (inbox / "statement.ofx").write_bytes(OFX.replace(b"</STMTRS>", b"</STMTRS>" + other))

    owner.run()

    assert owner.reasons() == ["shape_changed"]
