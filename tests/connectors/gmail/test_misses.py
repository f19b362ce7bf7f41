"""Mail that a server keeps back, hands out twice or cuts short is asked for again, or said to be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.gmail.account import source_account
from pdpp_worker.connector import BatchScope, DetailGapRecovered, GapToClose, Message, SkipResult, SourceAccount
from tests.connectors.gmail import gmail_server
from tests.connectors.gmail.conftest import TREE, Holder, gaps, holder, skips, there, to_close
from tests.connectors.gmail.faults import Hidden, refused, silent
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written

UNKNOWN = "NO [NONEXISTENT] Unknown Mailbox"


def handed(said: list[Message]) -> list[GapToClose]:
    """The gaps about mailboxes, as a later START hands them back."""
    found = [one for one in said if isinstance(one, SkipResult)]
    return [
        GapToClose(gap_id=str(number), stream=one.stream, scope=one.scope, reason=one.reason)  # type: ignore[arg-type]
        for number, one in enumerate(found, start=1)
    ]


def recovered(said: list[Message]) -> list[tuple[str, bool]]:
    return [(one.stream, one.absent) for one in said if isinstance(one, DetailGapRecovered)]


def test_a_uid_that_is_kept_back_once_is_asked_for_again(five: GmailServer, inbox: Holder, hidden: Hidden) -> None:
    hidden.add(3)
    said = inbox.run()
    hidden.clear()

    inbox.run()

    assert set(skips(said)) == set(TREE)
    assert set(inbox.held()) == there(five)


def test_a_deletion_does_not_make_up_for_what_is_kept_back(five: GmailServer, inbox: Holder, hidden: Hidden) -> None:
    hidden.add(3)
    inbox.run()
    hidden.clear()
    five.delete(5)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_numbers_that_agree_by_chance_hide_nothing_for_long(five: GmailServer, inbox: Holder, hidden: Hidden) -> None:
    inbox.run()
    five.add(written("kept back"))
    five.delete(5)
    hidden.add(6)
    inbox.run()
    hidden.clear()

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_mail_that_arrives_during_the_walk_switches_no_check_off(
    five: GmailServer, inbox: Holder, hidden: Hidden
) -> None:
    hidden.add(3)
    five.faults.append(lambda command: _arrive(five) if "PEEK[1]" in command else None)

    said = inbox.run()

    assert "1 fewer" in skips(said)["messages"].message


def _arrive(server: GmailServer) -> None:
    server.faults.clear()
    server.add(written("arrives"))


@pytest.mark.parametrize("is_gmail", [True, False])
def test_a_uid_that_a_restored_server_hands_out_again_is_another_message(
    five: GmailServer, inbox: Holder, is_gmail: bool
) -> None:
    five.gmail = is_gmail
    inbox.run()
    five.delete(5)
    five.uidnext = 5
    five.add(written("after the restore", "Another text of another length.")).gm += 777

    inbox.run()

    assert {row["subject"] for row in inbox.held().values()} == {
        *(f"mail {n}" for n in range(1, 5)),
        "after the restore",
    }


def test_the_same_uids_of_another_account_are_read(five: GmailServer, tmp_path: Path) -> None:
    other = GmailServer()
    for number in range(1, 6):
        other.add(written(f"other {number}")).gm += 10**6
    other.change(2, labels={"Other"})
    with gmail_server.running(other):
        first = holder(five.settings, tmp_path, password=gmail_server.PASSWORD)
        first.run()
        second = holder(other.settings, tmp_path, password=gmail_server.PASSWORD)
        second.state, second.sent = first.state, first.sent

        second.run()

    assert set(second.held()) >= there(other)


@pytest.mark.parametrize(
    ("settings", "identity"),
    [
        ({"user": "Me@GMail.com", "host": "imap.googlemail.com"}, "imap.gmail.com/me@gmail.com"),
        ({"user": "me", "host": "Mail.Example.org."}, "mail.example.org/me"),
    ],
)
def test_an_account_is_the_same_however_it_is_spelled(inbox: Holder, settings: dict[str, str], identity: str) -> None:
    inbox.context = holder({**inbox.context.settings, **settings}, inbox.context.files).context

    assert source_account(inbox.context).identity == identity


def test_every_run_says_whose_account_it_reads(five: GmailServer, inbox: Holder) -> None:
    assert isinstance(inbox.run()[0], SourceAccount)
    assert isinstance(inbox.run(recovery_only=True)[0], SourceAccount)


def test_an_end_before_the_told_size_is_no_whole_file(filled: GmailServer, inbox: Holder) -> None:
    filled.cut_at = 524_288

    said = inbox.run()

    (gap,) = gaps(said)
    assert gap.stream == "attachments"
    assert "hydration_status" not in next(iter(inbox.held("attachments").values()))


def test_a_download_of_one_message_is_not_continued_with_another(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(lambda line: "NO [THROTTLED] later" if "BODY.PEEK[2]<1048576." in line else None)
    inbox.run()
    filled.faults.clear()
    filled.delete(3)
    other = filled.add(written("other", files={"b.bin": b"b" * 1_500_000}), uid=3)
    other.gm += 5

    inbox.run()

    (row,) = inbox.held("attachments").values()
    assert (inbox.context.files / row["path"]).read_bytes() == b"b" * 1_500_000


@pytest.mark.parametrize("answer", ["NO [LIMIT] message has too many parts", "NO [OVERQUOTA] not this one"])
def test_a_limit_about_one_message_costs_that_one(five: GmailServer, inbox: Holder, answer: str) -> None:
    five.faults.append(refused(3, "BODY.PEEK[1]", answer))

    said = inbox.run()

    assert [gap.record_key for gap in gaps(said)] == [str(five.messages[3].gm)]
    assert skips(said) == {}
    assert len(inbox.held("message_bodies")) == 4


def test_one_silent_answer_closes_no_gap_as_absent(five: GmailServer, inbox: Holder) -> None:
    five.withheld.add(3)
    missing = to_close(gaps(inbox.run()))
    five.withheld.clear()
    five.faults.append(silent())

    said = inbox.run(gaps=missing, recovery_only=True)

    assert recovered(said) == []
    assert [gap.gap_id for gap in gaps(said)] == ["1"]


def test_the_gap_of_a_message_outlives_a_new_name_of_all_mail(five: GmailServer, inbox: Holder) -> None:
    five.withheld.add(3)
    missing = to_close(gaps(inbox.run()))
    five.withheld.clear()
    five.all_mail = "[Gmail]/All Mail"

    said = inbox.run(gaps=missing, recovery_only=True)

    assert recovered(said) == [("messages", False)]


def test_the_gap_of_a_message_ends_with_its_mailbox(five: GmailServer, inbox: Holder) -> None:
    five.gmail = False
    five.withheld.add(3)
    missing = to_close(gaps(inbox.run()))
    five.all_mail = "Renamed"
    five.faults.append(lambda command: UNKNOWN if "EXAMINE" in command and "Alle" in command else None)

    said = inbox.run(gaps=missing, recovery_only=True)

    assert recovered(said) == [("messages", True)]


def test_the_gap_of_a_mailbox_that_is_refused_and_listed_stays(five: GmailServer, inbox: Holder) -> None:
    five.gmail = False
    five.withheld.add(3)
    missing = to_close(gaps(inbox.run()))
    five.faults.append(lambda command: UNKNOWN if "EXAMINE" in command else None)

    said = inbox.run(gaps=missing, recovery_only=True)

    assert recovered(said) == []


def test_the_gap_of_a_mailbox_is_closed_when_the_numbers_agree(five: GmailServer, inbox: Holder) -> None:
    five.messages[2].raw = written("with a file", files={"a.bin": b"1"}).replace(b"\n", b"\r\n")
    five.phantoms = 1
    known = handed(inbox.run())
    again = inbox.run(gaps=known, recovery_only=True)
    five.phantoms = 0

    said = inbox.run(gaps=known, recovery_only=True)

    assert known[0].scope == BatchScope(partition={"mailbox": five.all_mail})
    assert recovered(again) == []
    assert recovered(said) == [(stream, False) for stream in TREE]


def test_the_gap_of_a_mailbox_without_attachments_is_closed_for_them_too(five: GmailServer, inbox: Holder) -> None:
    five.phantoms = 1
    known = handed(inbox.run())
    five.phantoms = 0

    said = inbox.run(gaps=known, recovery_only=True)

    assert dict(recovered(said))["attachments"] is True


def test_a_mailbox_whose_numbers_agree_by_chance_keeps_its_gap(
    five: GmailServer, inbox: Holder, hidden: Hidden
) -> None:
    hidden.add(3)
    known = handed(inbox.run())
    hidden.clear()
    five.delete(5)

    said = inbox.run(gaps=known, recovery_only=True)

    assert recovered(said) == []
    assert {gap.gap_id for gap in gaps(said)} == {"1", "2", "3"}


def test_changes_that_are_counted_and_not_told_are_looked_for(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.change(2, flags={"\\Flagged"})
    five.tells_no_changes = True

    inbox.run()

    assert {row["subject"] for row in inbox.held().values() if row["is_flagged"]} == {"mail 2"}


def test_changes_that_mail_explains_are_not_looked_for(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.add(written("mail 6"))
    before = len(five.asked("FETCH"))

    inbox.run()

    flags_of_all = [line for line in five.asked("FETCH")[before:] if "FLAGS" in line and "CHANGEDSINCE" not in line]
    assert [line for line in flags_of_all if " 1:5 " in line] == []


def test_changes_that_were_kept_back_among_new_mail_are_asked_for_once_more(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    five.change(2, flags={"\\Flagged"})
    five.add(written("mail 6"))
    five.tells_no_changes = True
    inbox.run()
    five.tells_no_changes = False

    inbox.run()

    assert {row["subject"] for row in inbox.held().values() if row["is_flagged"]} == {"mail 2"}


def test_mail_under_a_uid_that_was_foretold_is_found_though_the_numbers_agree(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    position = inbox.state["messages"]["mailboxes"]["\\All"]
    position["uid"] = position["looked"] = five.uidnext
    five.add(written("mail 6"))
    five.move_out_and_back(2)

    inbox.run()

    assert inbox.held().keys() == there(five)
