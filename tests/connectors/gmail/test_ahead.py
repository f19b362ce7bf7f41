"""A FETCH that is sent ahead: it is there early, and whatever becomes of it nothing is lost."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import cast

import pytest

from connectors.gmail import raw, walk
from connectors.gmail.connector import collect
from connectors.gmail.practice.account import DROP
from pdpp_worker.connector import Message, Record, SkipResult
from tests.connectors.gmail.conftest import ALL, Holder, gaps, skips
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written
from tests.support.connectors import start
from tests.support.waiting import until

COUNT = 9


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch, gmail: GmailServer) -> None:
    """Nine mails, three a page, each page in two commands."""
    monkeypatch.setattr(walk, "PAGE", 3)
    monkeypatch.setattr(raw, "BUNDLE", 2_000)
    for number in range(COUNT):
        gmail.add(written(f"mail {number}", "Good morning. " * 40, files={"a.bin": bytes([number]) * 60}))


def test_the_next_page_is_asked_for_before_this_one_is_told(gmail: GmailServer, inbox: Holder) -> None:
    told = 0
    with closing(cast(Generator[Message], collect(start(ALL), inbox.context))) as messages:
        while told < 3:
            one = next(messages)
            told += isinstance(one, Record) and one.stream == "messages"

        until(lambda: [line.split()[2] for line in gmail.asked("BODYSTRUCTURE")] == ["1:3", "4:6"])


def test_every_command_is_sent_once(gmail: GmailServer, inbox: Holder) -> None:
    inbox.run()

    assert len(inbox.held()) == len(inbox.held("attachments")) == COUNT
    assert len(gmail.asked("UID FETCH")) == len(set(gmail.asked("UID FETCH")))


@pytest.mark.parametrize("which", ["BODYSTRUCTURE", "BODY.PEEK[])"])
def test_a_connection_that_breaks_on_the_way_is_replaced_and_asked_again(
    gmail: GmailServer, inbox: Holder, which: str
) -> None:
    met: list[str] = []

    def second_one_drops(command: str) -> str | None:
        met.extend([command] if which in command else [])
        return DROP if which in command and len(met) == 2 else None

    gmail.faults.append(second_one_drops)

    said = inbox.run()

    assert len(inbox.held()) == len(inbox.held("attachments")) == COUNT
    assert (gaps(said), skips(said)) == ([], {})
    assert met[1] == met[2]


def test_a_refusal_for_the_rate_on_the_way_ends_the_run_behind_what_was_told(gmail: GmailServer, inbox: Holder) -> None:
    gmail.faults.append(lambda line: "NO [THROTTLED] slower" if "4:6" in line else None)

    said = inbox.run()

    assert {one.reason for one in said if isinstance(one, SkipResult)} == {"rate_limited"}
    assert len(inbox.held()) == 3
    gmail.faults.clear()
    inbox.run()
    assert len(inbox.held()) == len(inbox.held("attachments")) == COUNT
