"""A server that refuses or hangs up: what concerns one message or mailbox costs that one, the rest stops the asking."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from pdpp_worker.connector import BatchScope, DetailGapRecovered, GapToClose, Reason
from tests.connectors.gmail.conftest import ALL, TREE, Holder, gaps, skips, to_close
from tests.connectors.gmail.faults import refused, whole
from tests.connectors.gmail.gmail_server import DROP, GmailServer
from tests.connectors.gmail.mails import written


@pytest.mark.parametrize("what", ["BODYSTRUCTURE", "BODY.PEEK[1]"])
def test_a_message_that_makes_the_server_hang_up_costs_only_itself(
    gmail: GmailServer, inbox: Holder, what: str
) -> None:
    for number in range(1, 61):
        gmail.add(written(f"mail {number}"))
    gmail.faults += [refused(7, what, "BYE Internal error occurred"), refused(8, what, DROP)]

    said = inbox.run()

    assert skips(said) == {}
    assert [(gap.detail_locator or {})["uid"] for gap in gaps(said)] == [7, 8]
    assert len(inbox.held("message_bodies")) == 58


def test_a_server_that_hangs_up_on_everything_is_not_called_without_end(gmail: GmailServer, inbox: Holder) -> None:
    for number in range(120):
        gmail.add(written(f"mail {number}"))
    gmail.faults.append(lambda command: DROP if "BODYSTRUCTURE" in command else None)

    said = inbox.run()

    assert len(gaps(said)) == 100
    assert len(gmail.asked("AUTHENTICATE")) < 20
    assert skips(said)["messages"].reason == Reason.UPSTREAM_ERROR.value


def test_a_mailbox_that_makes_the_server_hang_up_costs_only_itself(filled: GmailServer, inbox: Holder) -> None:
    filled.gmail = False
    filled.faults.append(lambda command: DROP if command == 'EXAMINE "INBOX"' else None)

    said = inbox.run()

    assert skips(said)["messages"].scope == BatchScope(partition={"mailbox": "INBOX"})
    assert len(inbox.held()) == 5


REFUSALS = {
    "NO [THROTTLED] Too fast": Reason.RATE_LIMITED,
    "NO [OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)": Reason.RATE_LIMITED,
    "NO [ALERT] Too many simultaneous connections. (Failure)": Reason.RATE_LIMITED,
    "BYE Too many simultaneous connections": Reason.RATE_LIMITED,
    "NO [UNAVAILABLE] Temporary System Error": Reason.UPSTREAM_ERROR,
    "NO [WEBALERT https://accounts.example] Web login required.": Reason.CHALLENGED,
    "NO [ALERT] Please log in via your web browser": Reason.CHALLENGED,
    "NO [ALERT] Application-specific password required": Reason.CREDENTIALS_EXPIRED,
    "NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)": Reason.CREDENTIALS_EXPIRED,
}


OUTAGE = "NO [UNAVAILABLE] Temporary System Error"


@pytest.mark.parametrize("answer", ["NO [INUSE] Account in use", "NO [SERVERBUG] Internal error occurred"])
def test_a_sign_in_that_the_server_refuses_for_a_cause_of_its_own_asks_for_no_new_password(
    filled: GmailServer, inbox: Holder, answer: str
) -> None:
    filled.faults.append(lambda command: answer if "AUTHENTICATE" in command else None)

    said = inbox.run()

    assert {one.reason for one in skips(said).values()} == {Reason.UPSTREAM_ERROR.value}


@pytest.mark.parametrize(
    ("command", "answer"),
    [(command, answer) for command in ("GREETING", "AUTHENTICATE", "LIST") for answer in REFUSALS]
    + [("BODYSTRUCTURE", answer) for answer in REFUSALS if answer != OUTAGE],
)
def test_a_refusal_stops_the_asking_and_is_called_by_its_name(
    filled: GmailServer, inbox: Holder, answer: str, command: str
) -> None:
    filled.faults.append(lambda line: answer if command in line else None)

    said = inbox.run()

    assert {one.reason for one in skips(said).values()} == {REFUSALS[answer].value}
    assert set(skips(said)) == set(ALL if command != "BODYSTRUCTURE" else TREE)
    assert len(filled.asked(command)) <= 1
    assert gaps(said) == []


@pytest.mark.parametrize("what", ["BODYSTRUCTURE", "BODY.PEEK[1]", "BODY.PEEK[2]"])
def test_a_message_that_the_server_never_gives_for_a_temporary_error_holds_up_no_other(
    filled: GmailServer, inbox: Holder, what: str
) -> None:
    filled.faults.append(refused(3, what, OUTAGE))

    said = inbox.run()
    filled.faults.clear()
    inbox.run(gaps=to_close(gaps(said)))

    assert skips(said) == {}
    assert [gap.reason for gap in gaps(said)] == [Reason.UPSTREAM_ERROR.value]
    assert whole(inbox)


def test_an_outage_of_everything_is_not_asked_through(gmail: GmailServer, by_parts: Holder) -> None:
    for number in range(40):
        gmail.add(written(f"mail {number}", files={"a.bin": b"a"}))
    gmail.faults.append(lambda command: OUTAGE if "BODY.PEEK[2]" in command else None)

    said = by_parts.run()

    assert len(gaps(said)) == 40
    assert len(gmail.asked("BODY.PEEK[2]")) == 8


def test_a_mailbox_that_is_unavailable_holds_up_no_other(filled: GmailServer, inbox: Holder) -> None:
    filled.gmail = False
    filled.faults.append(lambda command: OUTAGE if command == 'EXAMINE "INBOX"' else None)

    said = inbox.run()

    assert skips(said)["messages"].scope == BatchScope(partition={"mailbox": "INBOX"})
    assert len(inbox.held()) == 5


def test_a_piece_of_more_bytes_than_memory_holds_is_a_gap(filled: GmailServer, inbox: Holder) -> None:
    filled.announced[2] = 10**25

    said = inbox.run()

    assert [(gap.stream, gap.reason) for gap in gaps(said)] == [("messages", Reason.NETWORK_ERROR.value)]
    assert "bytes in one piece" in (gaps(said)[0].last_error or "")


def test_a_pause_that_the_server_asks_for_is_passed_on(filled: GmailServer, inbox: Holder) -> None:
    answer = "BAD Request is throttled. Suggested Backoff Time: 300000 milliseconds"
    filled.faults.append(lambda line: answer if "BODYSTRUCTURE" in line else None)

    said = skips(inbox.run())["messages"]

    assert said.retry_after is not None
    assert abs(said.retry_after - datetime.now(UTC) - timedelta(minutes=5)) < timedelta(seconds=20)


def test_a_mailbox_that_cannot_be_opened_is_a_gap_of_that_mailbox(filled: GmailServer, inbox: Holder) -> None:
    filled.gmail = False
    filled.faults.append(lambda line: "NO [NOPERM] Access denied" if line == 'EXAMINE "INBOX"' else None)

    said = inbox.run()
    shut = skips(said)["messages"]
    filled.faults.clear()
    known = GapToClose(gap_id="7", stream="messages", scope=shut.scope, reason=shut.reason)  # type: ignore[arg-type]
    resolved = inbox.run(gaps=[known])

    assert shut.scope == BatchScope(partition={"mailbox": "INBOX"})
    assert len(inbox.held()) == 5
    assert [one.gap_id for one in resolved if isinstance(one, DetailGapRecovered)] == ["7"]


def test_a_server_that_refuses_everything_is_left_alone_after_a_page(gmail: GmailServer, inbox: Holder) -> None:
    for number in range(150):
        gmail.add(written(f"mail {number}"))
    gmail.faults.append(lambda line: "NO cannot" if "BODYSTRUCTURE" in line else None)

    said = inbox.run()

    assert len(gaps(said)) == 100
    assert skips(said)["messages"].reason == Reason.UPSTREAM_ERROR.value
