"""The inbox: every file is read, left alone because nothing changed, or a gap that names it."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.usaa.documents.templates import TEMPLATES
from pdpp_worker.connector import DetailGapRecovered, Inventory, Record, SkipResult, State
from tests.connectors.usaa.owner import Owner, emitted, last_errors, transactions
from tests.connectors.usaa.papers import FEBRUARY, Paper, Row, checking, export, line, strange

pytestmark = pytest.mark.process  # PDFs are read in a process of their own

STORE = line("01/05/2026", "GROCERY #12", "-4.50")
STATEMENT = checking([Row("01/05", "GROCERY #12", "-4.50")], closing=99_550)


def zipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.csv", export(STORE))


TROUBLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut short.pdf": (lambda path: path.write_bytes(STATEMENT[: len(STATEMENT) // 2]), "source_partition_failed"),
    "arriving.pdf.crdownload": (lambda path: path.write_bytes(STATEMENT), "source_partition_failed"),
    "empty.csv": (lambda path: path.write_bytes(b""), "source_partition_failed"),
    "garbage.bin": (lambda path: path.write_bytes(os.urandom(2000)), "source_partition_failed"),
    "garbage.pdf": (
        lambda path: path.write_bytes(b"%PDF-1.4\n" + bytes(range(256)) * 9 + b"%%EOF"),
        "source_partition_failed",
    ),
    "export.csv": (zipped, "source_partition_failed"),
    "login.csv": (lambda path: path.write_bytes(b"<!DOCTYPE html><html>Sign in"), "source_partition_failed"),
    "login.pdf": (lambda path: path.write_bytes(b"\n<html><body>Sign in"), "source_partition_failed"),
    "locked.pdf": (lambda path: path.write_bytes(Paper().lines("x").locked("s").pdf()), "source_partition_failed"),
    "scan.pdf": (lambda path: path.write_bytes(Paper().picture().pdf()), "parse_failed"),
    "words.csv": (lambda path: path.write_bytes(export(line("soon", "A", "many"))), "shape_changed"),
    "other.csv": (lambda path: path.write_bytes(b"name,city\na,b\n"), "source_partition_failed"),
    "pipe": (os.mkfifo, "source_partition_failed"),
    "dangling": (lambda path: path.symlink_to("nowhere"), "source_partition_failed"),
    "strange.pdf": (lambda path: path.write_bytes(strange()), "template_unknown"),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_a_file_that_gives_nothing_is_a_gap_that_names_it(owner: Owner, inbox: Path, name: str) -> None:
    make, reason = TROUBLE[name]
    make(inbox / name)
    (inbox / "good.pdf").write_bytes(STATEMENT)

    sent = owner.run()

    assert owner.reasons() == [reason]
    assert name in last_errors(sent)[0]
    assert len(transactions(owner)) == 1


@pytest.mark.parametrize("name", sorted(set(TROUBLE) - {"strange.pdf", "scan.pdf", "arriving.pdf.crdownload"}))
def test_the_gap_closes_when_the_file_is_whole(owner: Owner, inbox: Path, name: str) -> None:
    TROUBLE[name][0](inbox / name)
    owner.run()
    (inbox / name).unlink()
    (inbox / name).write_bytes(STATEMENT)

    owner.run(assigned=False)

    assert owner.reasons() == []
    assert len(transactions(owner)) == 1


def test_a_gap_of_a_file_that_was_taken_away_ends(owner: Owner, inbox: Path) -> None:
    (inbox / "good.pdf").write_bytes(STATEMENT)
    (inbox / "bad.csv").write_bytes(b"")
    owner.run()
    (inbox / "bad.csv").unlink()

    sent = owner.run()

    assert [one.absent for one in sent if isinstance(one, DetailGapRecovered)][:1] == [True]
    assert owner.reasons() == []


def test_content_decides_and_not_the_name(owner: Owner, inbox: Path) -> None:
    (inbox / "statement.csv").write_bytes(STATEMENT)
    (inbox / "export").write_bytes(export(line("01/09/2026", "B", "1.00")))

    owner.run()

    assert len(transactions(owner)) == 2
    assert owner.reasons() == []


def test_a_second_run_sends_nothing_that_did_not_change(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "b.pdf").write_bytes(strange())
    (inbox / "a.csv").write_bytes(export(STORE))
    owner.run()

    sent = owner.run(assigned=False)

    assert {type(one) for one in sent} == {State, Inventory}


def test_a_second_run_reads_only_what_was_added(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    owner.run()
    (inbox / "b.pdf").write_bytes(checking([Row("02/01", "B", "-1.00")], period=FEBRUARY, closing=99_900))

    sent = owner.run(assigned=False)

    assert [one.data["original_description"] for one in emitted(sent) if one.stream == "transactions"] == ["B"]


def test_the_inbox_is_left_as_it_was(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "b.csv").write_bytes(b"")
    before = {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in inbox.iterdir()}

    owner.run()

    assert {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in inbox.iterdir()} == before


def test_a_long_export_goes_on_where_it_was_cut(owner: Owner, inbox: Path) -> None:
    rows = [line(f"01/{1 + number % 28:02}/2026", f"STORE {number}", "-1.00") for number in range(5000)]
    (inbox / "a.csv").write_bytes(export(*rows))

    first = owner.run(cut=4500)
    again = owner.run(assigned=False)

    assert len(transactions(owner)) == 5000
    assert len(emitted(first)) + len(emitted(again)) < 7000


def test_a_promised_period_that_no_file_covers_is_a_gap_of_just_that_period(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)

    owner.run()

    window = {"since": "2024-09-28", "until": "2025-12-16"}
    assert owner.missing() == [("range_shortened", {"partition": {"account_id": "1234"}, "range": window})]


def test_a_month_left_out_between_statements_is_a_gap(owner: Owner, inbox: Path) -> None:
    march = (FEBRUARY[1].replace(day=16, month=1), FEBRUARY[1])
    (inbox / "a.pdf").write_bytes(
        checking(period=(march[0].replace(year=2025), march[1].replace(year=2025)), closing=100_000)
    )
    (inbox / "b.pdf").write_bytes(checking(period=FEBRUARY, opening=5_000, closing=5_000))

    owner.run()

    windows = [scope["range"] for _, scope in owner.missing()]
    assert windows == [
        {"since": "2024-09-28", "until": "2025-01-16"},
        {"since": "2025-02-16", "until": "2026-01-16"},
    ]


def test_equal_balances_prove_that_a_short_hole_between_exports_is_empty(owner: Owner, inbox: Path) -> None:
    (inbox / "a.csv").write_bytes(
        export(line("01/03/2026", "A", "-1.00", "9.00"), line("01/05/2026", "B", "-1.00", "8.00"))
    )
    (inbox / "b.csv").write_bytes(
        export(line("01/20/2026", "C", "-1.00", "7.00"), line("01/22/2026", "D", "-1.00", "6.00"))
    )

    owner.run()

    assert [scope["range"]["until"] for _, scope in owner.missing()] == ["2026-01-03"]


def test_a_missing_period_is_closed_by_the_statement_that_covers_it(owner: Owner, inbox: Path) -> None:
    owner.settings = {**owner.settings, "history_days": 66}
    (inbox / "b.pdf").write_bytes(checking(period=FEBRUARY, closing=100_000))
    owner.run()
    assert [scope["range"] for _, scope in owner.missing()] == [{"since": "2025-12-16", "until": "2026-01-16"}]

    (inbox / "a.pdf").write_bytes(checking(closing=100_000))
    owner.run()

    assert owner.missing() == []


def test_half_of_a_missing_period_leaves_the_other_half(owner: Owner, inbox: Path) -> None:
    (inbox / "b.pdf").write_bytes(checking(period=FEBRUARY, closing=100_000))
    owner.run()
    (inbox / "a.pdf").write_bytes(checking(closing=100_000))

    owner.run()

    assert [scope["range"] for _, scope in owner.missing()] == [{"since": "2024-09-28", "until": "2025-12-16"}]


def test_a_recovery_reads_only_the_files_of_gaps_and_keeps_no_place(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "b.csv").write_bytes(b"")
    owner.run()
    (inbox / "b.csv").write_bytes(export(line("01/09/2026", "B", "1.00")))
    (inbox / "new.csv").write_bytes(export(line("01/10/2026", "C", "1.00")))
    owner.gaps = {key: gap for key, gap in owner.gaps.items() if gap.reason != "range_shortened"}

    sent = owner.run(recovery_only=True)

    assert not any(isinstance(one, State) for one in sent)
    assert owner.reasons() == []
    assert [text for _, _, text in transactions(owner)] == ["GROCERY #12", "B"]


def test_a_version_that_knows_the_layout_reads_what_an_older_one_left(owner: Owner, inbox: Path) -> None:
    owner.templates = TEMPLATES[:1]
    (inbox / "a.pdf").write_bytes(STATEMENT)
    owner.run()
    assert owner.reasons() == ["template_unknown"]

    owner.templates = TEMPLATES
    owner.run(recovery_only=True)

    assert owner.reasons() == []
    assert len(transactions(owner)) == 1


def test_an_empty_inbox_and_a_missing_one_say_what_to_do(owner: Owner, inbox: Path) -> None:
    for expected in ("put CSV exports", "setting `inbox`"):
        sent = owner.run()
        assert all(expected in one.message for one in sent if isinstance(one, SkipResult))
        assert {one.stream for one in sent if isinstance(one, SkipResult)} == {
            "accounts",
            "account_stats",
            "transactions",
            "statements",
        }
        if inbox.exists():
            inbox.rmdir()


def test_no_name_of_a_file_is_too_strange(owner: Owner, inbox: Path) -> None:
    for name in (b"\xff\xfe.csv", "d\u00e9p\u00f4t \u202e.csv".encode()):
        (inbox / os.fsdecode(name)).touch()

    owner.run()

    assert owner.reasons() == ["source_partition_failed"] * 2


def test_what_was_cut_at_any_message_is_whole_in_the_end(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)
    (inbox / "b.csv").write_bytes(export(STORE, line("01/09/2026", "B", "1.00")))
    (inbox / "c.csv").write_bytes(b"")
    whole = Owner(owner.settings)
    total = len(whole.run())

    for cut in range(1, total):
        piecewise = Owner(owner.settings)
        piecewise.run(cut=cut)
        piecewise.run()
        assert piecewise.data == whole.data
        assert sorted(map(str, piecewise.missing())) == sorted(map(str, whole.missing()))


def test_records_carry_no_full_path(owner: Owner, inbox: Path) -> None:
    (inbox / "a.pdf").write_bytes(STATEMENT)

    sent = owner.run()

    assert all(str(inbox) not in str(one.data) for one in sent if isinstance(one, Record))
    assert str(inbox) not in str(owner.state)
