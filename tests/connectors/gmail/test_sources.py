"""Messages kept as they came, under the hash of their content."""

from __future__ import annotations

import hashlib

from connectors.gmail.raw import AT_ONCE
from tests.connectors.gmail import gmail_server
from tests.connectors.gmail.conftest import Holder, gaps, holder, to_close
from tests.connectors.gmail.faults import WHOLE, silent
from tests.connectors.gmail.gmail_server import GmailServer
from tests.connectors.gmail.mails import written


def test_a_small_message_is_kept_as_it_came(gmail: GmailServer, inbox: Holder) -> None:
    mail = gmail.add(written("one", html="<p>Good morning.</p>", files={"a.bin": b"abc"}))

    inbox.run()

    (row,) = inbox.held().values()
    assert row["source"]["sha256"] == hashlib.sha256(mail.raw).hexdigest()
    assert (inbox.context.files / row["source"]["path"]).read_bytes() == mail.raw
    assert gmail.asked("BODY.PEEK[1]") == []


def test_a_message_above_the_limit_is_read_by_its_parts_and_not_kept(gmail: GmailServer, by_parts: Holder) -> None:
    gmail.add(written("one", files={"a.bin": b"abc"}))

    by_parts.run()

    (row,) = by_parts.held().values()
    assert row["source"] is None
    assert len(by_parts.held("message_bodies")) == len(by_parts.held("attachments")) == 1


def test_a_large_message_is_kept_where_the_owner_wants_it(gmail: GmailServer, inbox: Holder) -> None:
    mail = gmail.add(written("one", files={"a.bin": bytes(range(256)) * (AT_ONCE // 200)}))
    wanting = holder(
        {**gmail.settings, "max_source_bytes": 10_000_000}, inbox.context.files, password=gmail_server.PASSWORD
    )

    wanting.run()

    (row,) = wanting.held().values()
    assert (wanting.context.files / row["source"]["path"]).read_bytes() == mail.raw


def test_records_are_the_same_whole_or_by_parts(filled: GmailServer, inbox: Holder, by_parts: Holder) -> None:
    filled.add(written("html", html="<p>Good <b>morning</b>.</p>", files={"a.bin": b"abc", "b.txt": b"text"}))
    inbox.run()
    by_parts.run()

    for stream in ("message_bodies", "attachments"):
        assert inbox.held(stream) == by_parts.held(stream)


def test_a_message_that_comes_short_is_asked_for_by_its_parts(gmail: GmailServer, inbox: Holder) -> None:
    gmail.add(written("one", "A text of some length."))
    gmail.cut_at = 60

    said = inbox.run()

    assert gmail.asked("BODY.PEEK[1]")
    assert gaps(said) == []
    (row,) = inbox.held().values()
    assert row["source"] is None


def test_a_message_of_which_the_server_tells_nothing_is_missing_and_not_kept_without_its_source(
    gmail: GmailServer, inbox: Holder
) -> None:
    mail = gmail.add(written("one"))
    keep_silent = silent(WHOLE)
    gmail.faults.append(keep_silent)
    said = gaps(inbox.run())
    gmail.faults.remove(keep_silent)

    inbox.run(recovery_only=True, gaps=to_close(said))

    (row,) = inbox.held().values()
    assert [one.reason for one in said] == ["upstream_error"]
    assert row["source"]["sha256"] == hashlib.sha256(mail.raw).hexdigest()
