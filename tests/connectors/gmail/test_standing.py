"""A mailbox in which nothing happened is not opened; whatever happens in one is seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from imapclient import IMAPClient

from connectors.gmail.client import Client
from connectors.gmail.practice.server import CAPABILITIES
from connectors.gmail.session import Selected, Session
from pdpp_worker.connector import Record, State
from tests.connectors.gmail import gmail_server
from tests.connectors.gmail.conftest import Holder, holder, skips
from tests.connectors.gmail.dovecot import Dovecot
from tests.connectors.gmail.gmail_server import DROP, GmailServer
from tests.connectors.gmail.mails import written
from tests.support.waiting import PATIENCE_S

OTHER = "Reisen/Köln"


@pytest.fixture
def settled(server: Dovecot, account: Holder) -> Holder:
    """Three mails in two mailboxes, listed twice."""
    with server.owner() as owner:
        owner.append("INBOX", written("plain"))
        owner.append("INBOX", written("rich", html="<p>Hello</p>"))
        owner.create_folder(OTHER)
        owner.append(OTHER, written("answer"))
    account.run()
    account.run()
    return account


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The mailboxes that are opened."""
    names: list[str] = []
    select = Session.select

    def noted(session: Session, name: str) -> Selected:
        names.append(name)
        return select(session, name)

    monkeypatch.setattr(Session, "select", noted)
    return names


def pass_time(account: Holder, passed: timedelta) -> None:
    """Let the run's clock stand at so much from now."""
    then = datetime.now(UTC) + passed
    account.context = replace(account.context, now=lambda: then)


def keep_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server tell of all mailboxes for ever what it tells next."""
    answers: list[Any] = []
    ask = Client.list_with_status

    def stale(client: Client, items: str) -> Any:
        answers[:] = answers or [ask(client, items)]
        return answers[0]

    monkeypatch.setattr(Client, "list_with_status", stale)


def test_no_mailbox_is_opened_where_nothing_happened(settled: Holder, opened: list[str]) -> None:
    said = settled.run()

    assert opened == []
    assert [one for one in said if isinstance(one, Record | State)] == []


def come(owner: IMAPClient) -> None:
    owner.append("INBOX", written("new"))


def flagged(owner: IMAPClient) -> None:
    owner.select_folder("INBOX")
    owner.add_flags([1], [b"\\Flagged"])


def deleted(owner: IMAPClient) -> None:
    owner.select_folder("INBOX")
    owner.delete_messages([1])
    owner.expunge()


def replaced(owner: IMAPClient) -> None:
    deleted(owner)
    come(owner)


@pytest.mark.parametrize("happens", [come, flagged, deleted, replaced])
def test_only_a_mailbox_in_which_something_happened_is_opened(
    settled: Holder, opened: list[str], server: Dovecot, happens: Callable[[IMAPClient], None]
) -> None:
    with server.owner() as owner:
        happens(owner)

    said = settled.run()

    assert set(opened) == {"INBOX"}
    assert [one for one in said if isinstance(one, State)] != []


def test_a_mailbox_whose_deletions_are_agreed_comes_to_rest(
    settled: Holder, opened: list[str], server: Dovecot
) -> None:
    with server.owner() as owner:
        deleted(owner)
    said = [one for _ in range(5) for one in settled.run() if isinstance(one, Record)]
    opened.clear()

    later = settled.run() + settled.run()

    assert [one.op for one in said if one.stream == "messages"] == ["delete", "delete"]
    assert opened == []
    assert [one for one in later if isinstance(one, Record | State)] == []


def test_a_server_that_learns_of_mail_by_opening_its_mailbox_is_believed_for_a_day(
    settled: Holder, server: Dovecot, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_stale(monkeypatch)
    settled.run()
    with server.owner() as owner:
        come(owner)
    settled.run()
    was_known = "new" in settled.by_subject()

    pass_time(settled, timedelta(days=1))
    settled.run()

    assert not was_known
    assert "new" in settled.by_subject()


def test_a_mailbox_is_opened_once_a_day(settled: Holder, opened: list[str]) -> None:
    pass_time(settled, timedelta(days=1))

    settled.run()
    settled.run()

    assert sorted(opened) == ["INBOX", OTHER]


def test_a_mailbox_whose_last_opening_is_not_known_or_lies_ahead_is_opened(settled: Holder, opened: list[str]) -> None:
    positions: dict[str, dict[str, Any]] = settled.state["messages"]["mailboxes"]
    del positions["INBOX"]["opened"]
    positions[OTHER]["opened"] += 3600

    settled.run()

    assert sorted(opened) == ["INBOX", OTHER]


def test_a_mailbox_that_was_made_anew_is_walked(settled: Holder, opened: list[str], server: Dovecot) -> None:
    with server.owner() as owner:
        owner.delete_folder(OTHER)
        owner.create_folder(OTHER)
        owner.append(OTHER, written("another answer"))

    settled.run()

    assert set(opened) == {OTHER}
    assert "another answer" in settled.by_subject()


def hangs_up(gmail: GmailServer, command: str) -> str | None:
    return DROP if "RETURN" in command else None


def is_silent(gmail: GmailServer, command: str) -> str | None:
    if "RETURN" in command:
        gmail.silence.wait(PATIENCE_S)
    return None


@pytest.mark.parametrize("fault", [hangs_up, is_silent])
def test_a_server_that_fails_at_the_status_of_all_is_read_mailbox_by_mailbox(
    gmail: GmailServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Callable[[GmailServer, str], str | None]
) -> None:
    monkeypatch.setattr("connectors.gmail.practice.server.CAPABILITIES", f"{CAPABILITIES} LIST-STATUS")
    gmail.gmail = False
    account = holder({**gmail.settings, "timeout_s": 1}, tmp_path, password=gmail_server.PASSWORD)
    account.run()
    gmail.add(written("new"))
    gmail.faults.append(lambda command: fault(gmail, command))

    said = account.run()

    gmail.silence.set()
    assert len(gmail.asked("RETURN")) == 1
    assert skips(said) == {}
    assert set(account.by_subject()) == {"new"}


def test_a_server_that_refuses_the_status_of_all_is_read_mailbox_by_mailbox(
    settled: Holder, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.gmail.mailboxes._STATUS", "NONSENSE")

    settled.run()

    assert set(opened) == {"INBOX", OTHER}
