"""Whatever a server does, a message ends as a record or as a gap, and a refusal stops the asking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pdpp_worker.connector import BatchScope, Budget, DetailGapRecovered, GapToClose, Reason
from tests.connectors.gmail import gmail_server
from tests.connectors.gmail.conftest import FILE, TREE, Holder, gaps, holder, skips, to_close
from tests.connectors.gmail.faults import nth, refused, touches, whole
from tests.connectors.gmail.gmail_server import DROP, Fault, GmailServer


def test_a_refused_message_is_a_gap_and_the_others_are_read(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(2, "BODYSTRUCTURE"))

    said = inbox.run()

    (gap,) = gaps(said)
    assert (gap.stream, gap.reason) == ("messages", Reason.UPSTREAM_ERROR.value)
    assert gap.detail_locator is not None
    assert gap.detail_locator["uid"] == 2
    assert set(inbox.by_subject()) == {"mail 1", "mail 3", "mail 4", "mail 5"}


def test_an_answer_that_breaks_the_grammar_is_a_gap_for_a_newer_version(filled: GmailServer, inbox: Holder) -> None:
    filled.garbled.add(4)

    said = inbox.run()

    assert [gap.reason for gap in gaps(said)] == [Reason.SHAPE_CHANGED.value]
    assert len(inbox.held()) == 4


def test_a_message_that_the_server_leaves_out_is_a_gap(filled: GmailServer, inbox: Holder) -> None:
    filled.withheld.add(1)

    assert len(gaps(inbox.run())) == 1
    assert len(inbox.held()) == 4


def test_a_message_that_is_deleted_while_it_is_read_is_none(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(lambda command: filled.delete(1) if touches(1, command) and 1 in filled.messages else None)

    assert gaps(inbox.run()) == []
    assert len(inbox.held()) == 4


def test_a_text_that_cannot_be_read_leaves_the_message_and_a_gap(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(2, "BODY.PEEK[1]"))

    said = inbox.run()

    (gap,) = gaps(said)
    assert (gap.stream, gap.record_key) == ("message_bodies", str(filled.messages[2].gm))
    assert inbox.by_subject()["mail 2"]["subject"] == "mail 2"
    assert len(inbox.held("message_bodies")) == 4


def test_an_attachment_that_cannot_be_read_is_a_gap_of_its_own(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(3, "BODY.PEEK[2]"))

    said = inbox.run()

    (gap,) = gaps(said)
    assert (gap.stream, gap.record_key) == ("attachments", f"{filled.messages[3].gm}:0")
    (row,) = inbox.held("attachments").values()
    assert row["filename"] == "big.bin"
    assert "hydration_status" not in row


@pytest.mark.parametrize(
    "fault", [refused(2, "BODYSTRUCTURE"), refused(2, "BODY.PEEK[1]"), refused(3, "BODY.PEEK[2]")], ids="mbf"
)
def test_recovery_asks_for_exactly_what_is_missing(filled: GmailServer, inbox: Holder, fault: Fault) -> None:
    filled.faults.append(fault)
    missing = gaps(inbox.run())
    filled.faults.clear()
    filled.commands.clear()

    said = inbox.run(gaps=to_close(missing), recovery_only=True)

    uid = str((missing[0].detail_locator or {})["uid"])
    assert [one.gap_id for one in said if isinstance(one, DetailGapRecovered) and not one.absent] == ["1"]
    assert {line.split()[2] for line in filled.asked("UID FETCH")} == {uid}
    assert whole(inbox)


def test_a_recovery_that_fails_says_so_again(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(2, "BODYSTRUCTURE"))
    missing = to_close(gaps(inbox.run()))

    said = inbox.run(gaps=missing, recovery_only=True)

    assert [(gap.gap_id, gap.reason) for gap in gaps(said)] == [("1", Reason.UPSTREAM_ERROR.value)]
    assert skips(said) == {}


def test_a_missing_message_that_was_deleted_is_affirmed_absent(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(2, "BODY.PEEK[1]"))
    missing = to_close(gaps(inbox.run()))
    filled.faults.clear()
    filled.delete(2)

    said = inbox.run(gaps=missing, recovery_only=True)

    assert [one.absent for one in said if isinstance(one, DetailGapRecovered)] == [True]


def test_after_a_new_life_a_missing_text_is_found_by_gmails_id(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(refused(2, "BODY.PEEK[1]"))
    missing = to_close(gaps(inbox.run()))
    filled.faults.clear()
    filled.renumber()

    inbox.run(gaps=missing, recovery_only=True)

    assert filled.asked("X-GM-MSGID 1")
    assert len(inbox.held("message_bodies")) == 5


def test_a_message_known_by_its_id_alone_can_be_asked_for(filled: GmailServer, inbox: Holder) -> None:
    inbox.run()
    scope = {"resource_id": str(filled.messages[2].gm)}
    asked = GapToClose(gap_id="1", stream="messages", scope=scope, reason="record_rejected")  # type: ignore[arg-type]

    said = inbox.run(gaps=[asked], recovery_only=True)

    assert [one.record_key for one in said if isinstance(one, DetailGapRecovered)] == [scope["resource_id"]]


def test_recovery_keeps_to_its_budget(filled: GmailServer, inbox: Holder) -> None:
    filled.garbled |= {1, 2, 4}
    missing = to_close(gaps(inbox.run()))
    filled.garbled.clear()

    said = inbox.run(gaps=missing, recovery_only=True, budget=Budget(items=2))

    assert len([one for one in said if isinstance(one, DetailGapRecovered)]) == 2


def test_the_next_walk_tries_an_unread_message_again(filled: GmailServer, inbox: Holder) -> None:
    filled.garbled.add(2)
    inbox.run()
    filled.garbled.clear()

    inbox.run()

    assert whole(inbox)


def test_a_connection_that_breaks_once_is_replaced_without_loss(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(nth(2, "BODY.PEEK[1]", DROP))
    filled.faults.append(nth(2, "BODY.PEEK[2]", "BYE Session expired, please login again."))

    said = inbox.run()

    assert skips(said) == {}
    assert whole(inbox)


def test_a_server_that_is_gone_ends_the_walk_and_keeps_the_place(filled: GmailServer, inbox: Holder) -> None:
    filled.faults.append(nth(1, "BODY.PEEK[2]", DROP))
    filled.faults.append(lambda command: DROP if command == "GREETING" and filled.asked("BODY.PEEK[2]") else None)

    said = skips(inbox.run())
    filled.faults.clear()
    inbox.run()

    assert set(said) == set(TREE)
    assert said["messages"].reason == Reason.NETWORK_ERROR.value
    assert whole(inbox)


def test_a_silent_server_is_given_up_after_its_time(filled: GmailServer, tmp_path: Path) -> None:
    impatient = holder({**filled.settings, "timeout_s": 0.1}, tmp_path, password=gmail_server.PASSWORD)

    def keep_silent(command: str) -> None:
        if "EXAMINE" in command:
            filled.silence.wait(5)

    filled.faults.append(keep_silent)

    said = skips(impatient.run())

    filled.silence.set()
    assert said["messages"].reason == Reason.TIMED_OUT.value


def test_a_server_that_counts_more_than_it_shows_is_not_believed(filled: GmailServer, inbox: Holder) -> None:
    filled.phantoms = 2

    said = skips(inbox.run())

    assert said["messages"].scope == BatchScope(partition={"mailbox": filled.all_mail})
    assert "2" in said["messages"].message


@pytest.mark.parametrize("interrupt", [DROP, "NO [THROTTLED] later"])
def test_a_download_that_was_cut_goes_on_where_it_stopped(filled: GmailServer, inbox: Holder, interrupt: str) -> None:
    filled.faults.append(lambda line: interrupt if "BODY.PEEK[2]<1048576." in line else None)
    missing = to_close(gaps(inbox.run()))
    filled.faults.clear()
    filled.commands.clear()

    inbox.run(gaps=missing)

    assert "<1048576." in filled.asked("BODY.PEEK[2]")[0]
    (row,) = inbox.held("attachments").values()
    assert (inbox.context.files / row["path"]).read_bytes() == FILE
    assert list((inbox.context.files / "partial").iterdir()) == []


def test_a_server_that_knows_no_pieces_is_understood(filled: GmailServer, inbox: Holder) -> None:
    filled.shown_whole = True

    inbox.run()

    (row,) = inbox.held("attachments").values()
    assert (inbox.context.files / row["path"]).read_bytes() == FILE
    assert whole(inbox)


def test_what_is_beyond_the_cap_is_declared_and_not_fetched(filled: GmailServer, tmp_path: Path) -> None:
    frugal = holder({**filled.settings, "max_file_bytes": 1_000_000}, tmp_path, password=gmail_server.PASSWORD)

    said = frugal.run()

    (row,) = frugal.held("attachments").values()
    assert row["hydration_status"] == "too_large"
    assert gaps(said) == []
    assert filled.asked("BODY.PEEK[2]") == []


def test_what_was_beyond_the_cap_is_fetched_when_the_cap_is_raised(filled: GmailServer, tmp_path: Path) -> None:
    frugal = holder({**filled.settings, "max_file_bytes": 1000}, tmp_path, password=gmail_server.PASSWORD)
    frugal.run()
    frugal.context = replace(frugal.context, settings={**frugal.context.settings, "max_file_bytes": 2_000_000})
    filled.commands.clear()

    frugal.run()
    frugal.run()

    (row,) = frugal.held("attachments").values()
    assert (row["hydration_status"], row["size_bytes"]) == ("hydrated", len(FILE))
    assert len(filled.asked("BODY.PEEK[2]<0.")) == 1


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [({"tls": "ssl"}, "tls, starttls or plain"), ({"host": "mail.example"}, "in the clear"), ({"user": ""}, "user")],
)
def test_settings_that_cannot_work_say_so(
    filled: GmailServer, tmp_path: Path, settings: dict[str, str], complaint: str
) -> None:
    wrong = holder({**filled.settings, **settings}, tmp_path)

    with pytest.raises(Exception, match=complaint):
        wrong.run()


def test_no_command_is_sent_without_a_turn(filled: GmailServer, inbox: Holder, monkeypatch: pytest.MonkeyPatch) -> None:
    turns = _counted(inbox, monkeypatch)

    inbox.run()

    with_another = ("CAPABILITY", "ENABLE CONDSTORE", "LOGOUT")
    assert len(turns) == len([line for line in filled.commands if line not in with_another])


def _counted(inbox: Holder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    turns: list[int] = []

    @contextmanager
    def pace() -> Iterator[None]:
        turns.append(len(turns))
        yield

    monkeypatch.setattr(inbox, "context", replace(inbox.context, pace=pace))
    return turns
