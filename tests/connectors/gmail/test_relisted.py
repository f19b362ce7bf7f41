"""UIDs that were listed once are listed again in one question where the server tells ranges, and none is missed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.gmail import listing
from connectors.gmail.client import sequence_set
from connectors.gmail.ledger import Ledger, MessageEntry
from connectors.gmail.session import Session
from connectors.gmail.uid_ranges import uids_told
from tests.connectors.gmail.conftest import Holder, holder, there
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import DROP, GmailServer
from tests.connectors.gmail.mails import written

UIDS = st.sets(st.integers(1, 60))
TAG = b"AB1"


def answer(told: str, tag: bytes = TAG) -> list[bytes]:
    return [b'(TAG "' + tag + b'") UID' + (b" ALL " + told.encode() if told else b"")]


@given(UIDS)
def test_ranges_are_read_as_the_uids_that_they_were_made_of(uids: set[int]) -> None:
    assert uids_told(answer(sequence_set(uids)), TAG, range(1, 61), 60) == sorted(uids)


@given(st.text("0123456789,:*", max_size=12))
def test_no_answer_is_believed_beyond_what_was_asked_for(told: str) -> None:
    found = uids_told(answer(told), TAG, range(5, 500), 100)

    assert found is None or (set(found) <= set(range(5, 500)) and len(found) <= 100 and found == sorted(set(found)))


@pytest.mark.parametrize(
    "told",
    [
        "1:4294967295",
        "1:101",
        ",".join(map(str, range(1, 202, 2))),
        "4:1",
        "1:3,2:4",
        "0:4",
        "1:*",
        "",
    ],
)
def test_an_answer_that_is_no_list_of_at_most_so_many_is_none(told: str) -> None:
    told_empty = [b'(TAG "AB1") UID ALL ']

    assert uids_told(answer(told) if told else told_empty, TAG, range(1, 1 << 32), 100) is None


@pytest.mark.parametrize("answers", [[], answer("1:2", b"AB0"), answer("1:2") * 2, [b"1 2"]])
def test_the_answer_to_another_command_is_none(answers: list[bytes]) -> None:
    assert uids_told(answers, TAG, range(1, 9), 9) is None


@given(UIDS, st.integers(1, 60), st.integers(1, 60))
def test_the_uids_of_a_ledger_are_those_of_its_entries(uids: set[int], first: int, last: int) -> None:
    ledger = Ledger()
    ledger.add(MessageEntry(uid, 0, 0, 0) for uid in uids)

    assert ledger.uids(first, last) == {entry.uid for entry in ledger.between(first, last)}


def listings(gmail: GmailServer) -> list[str]:
    """The listings of UIDs since this was last asked for."""
    found = [one for one in gmail.commands if one.endswith("(UID)") or " SEARCH " in one]
    gmail.commands.clear()
    return found


def keep_back(five: GmailServer, inbox: Holder) -> None:
    """One of three that came is kept back by a server whose numbers agree by chance, and is shown later."""
    inbox.run()
    five.add(written("new"))
    five.add(written("kept back"))
    five.add(written("newest"))
    five.delete(5)
    five.hidden.add(7)
    inbox.run()
    five.hidden.clear()
    listings(five)


def test_a_second_look_is_one_question(five: GmailServer, inbox: Holder) -> None:
    inbox.run()
    listings(five)

    inbox.run()

    assert listings(five) == ["UID SEARCH RETURN (ALL) UID 1:5"]


def test_a_server_without_ranges_is_asked_for_lines(five: GmailServer, inbox: Holder) -> None:
    five.esearch = False
    inbox.run()
    listings(five)

    inbox.run()

    assert listings(five) == ["UID FETCH 1:5 (UID)"]


@pytest.mark.parametrize("tells_ranges", [True, False])
def test_what_was_kept_back_is_read(five: GmailServer, inbox: Holder, tells_ranges: bool) -> None:
    five.esearch = tells_ranges
    keep_back(five, inbox)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_a_search_that_is_cut_short_is_not_believed(five: GmailServer, inbox: Holder) -> None:
    five.most_found = 5
    keep_back(five, inbox)

    inbox.run()

    assert set(inbox.held()) == there(five)


@pytest.mark.parametrize("said", ["NO not now", "BAD what", "OK nothing", DROP])
def test_a_server_that_does_not_keep_its_word_is_asked_for_lines(five: GmailServer, inbox: Holder, said: str) -> None:
    keep_back(five, inbox)
    five.faults.append(lambda command: said if " SEARCH " in command else None)

    inbox.run()

    assert set(inbox.held()) == there(five)


def test_a_crowded_mailbox_is_asked_for_lines(
    five: GmailServer, inbox: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "CROWDED", 4)
    inbox.run()
    listings(five)

    inbox.run()

    assert listings(five) == ["UID FETCH 1:5 (UID)"]


@pytest.mark.parametrize("tells_ranges", [True, False])
def test_dovecot_shows_what_came_since(
    server: Dovecot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tells_ranges: bool
) -> None:
    asked: list[str] = []
    ask = Session.ask

    def noted(session: Session, label: str, command: object) -> object:
        asked.append(label)
        if not tells_ranges:
            session.capabilities -= {"ESEARCH"}
        return ask(session, label, command)  # type: ignore[arg-type]

    monkeypatch.setattr(Session, "ask", noted)
    account = holder(server.settings, tmp_path)
    with server.owner() as owner:
        for number in range(3):
            owner.append("INBOX", written(f"mail {number}"))
    account.run()
    account.run()
    del asked[:]

    with server.owner() as owner:
        owner.append("INBOX", written("new"))
    account.run()
    account.run()

    assert len(account.held()) == 4
    assert ("SEARCH of UIDs" in asked) == tells_ranges
