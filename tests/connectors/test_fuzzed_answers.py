"""A provider whose answers are broken at some place: a connector ends as it always does, and loses nothing silently."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import parse_qs, parse_qsl

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import connectors.chatgpt.connector
import connectors.slack.connector
import connectors.usaa.connector
from pdpp_worker.connector import Collect, Context, DetailGap, ProviderError, Record, SkipResult
from pdpp_worker.protocol.manifest import Manifest, load_manifest
from pdpp_worker.runtime.connection_values import with_defaults
from pdpp_worker.runtime.handler import MessageHandler
from tests.connectors.chatgpt.test_lists import memory
from tests.connectors.chatgpt.test_lying_provider import detail, item
from tests.connectors.slack.account import file, said, stamp, user
from tests.connectors.slack.provider import TOKEN, Slack
from tests.connectors.usaa.bank import Bank
from tests.connectors.usaa.owner import NOW
from tests.support.connectors import context, start, unpaced
from tests.support.mutations import mutated

IS_LONG = settings().max_examples > 100
MOST_REQUESTS = 400
"""A connector that asks more often of these small accounts goes in a circle."""


@dataclass
class Account:
    """A small account of a platform: its answers as JSON or as text, and what is in it."""

    manifest: Manifest
    collect: Collect
    answer: Callable[[httpx.Request], Any]
    stream: str
    names: set[str]
    """The texts by which answers name the records of the stream."""
    name_of: Callable[[Record], str]
    settings: dict[str, Any]
    secrets: dict[str, str]


@dataclass
class Broken:
    """The account with one answer in some that is changed."""

    account: Account
    rng: Random
    share: float
    bodies: list[bytes] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """An answer, or what became of it."""
        assert len(self.bodies) < MOST_REQUESTS, "it goes in a circle"
        found = self.account.answer(request)
        if isinstance(found, httpx.Response):
            return found
        is_json = not isinstance(found, str)
        if self.rng.random() < self.share:
            found = mutated(self.rng, found) if is_json else _scratched(self.rng, found)
        content = (json.dumps(found) if is_json else found).encode("utf-8", "surrogatepass")
        self.bodies.append(content)
        kind = "application/json" if is_json else "text/html" if found.lstrip().startswith("<") else "text/csv"
        return httpx.Response(200, content=content, headers={"content-type": kind})


def _scratched(rng: Random, text: str) -> str:
    """A text with a piece cut, doubled, moved or written over."""
    begin = rng.randrange(len(text) + 1)
    end = min(len(text), begin + rng.choice((1, 5, 50, 5000)))
    piece = rng.choice(("", text[begin:end] * 2, "<", "\0", '"', "\ud800", "<table><tr>", ",,,", "</table>", "-"))
    return text[:begin] + piece + text[end:]


@dataclass
class Outcome:
    """The records that a run brought, and whether it told of any that is missing."""

    held: set[str] = field(default_factory=set)
    is_told: bool = False
    """Whether a gap, a skip, a rejection or an error says that something is missing."""


def outcome_of(account: Account, broken: Broken, files: Path) -> Outcome:
    """One run; anything but an error of the provider's fails the test."""
    found = Outcome()
    request = start([one.name for one in account.manifest.supplied_to(account.settings)])
    handler = MessageHandler(account.manifest, request, lambda text: text)
    given_context = _context(account, broken, files)
    with suppress(ProviderError):
        for message in account.collect(request, given_context):
            handler.handle(message)
            if isinstance(message, Record) and message.stream == account.stream:
                (found.held.discard if message.op == "delete" else found.held.add)(account.name_of(message))
            found.is_told |= isinstance(message, DetailGap | SkipResult)
        found.is_told |= bool(handler.batch.rejections or handler.checkpoints.errors)
        return found
    found.is_told = True
    return found


def _context(account: Account, broken: Broken, files: Path) -> Context:
    given_settings = with_defaults(account.manifest.settings, account.settings)
    made = context(given_settings, account.secrets, files)
    return replace(made, http=unpaced(lambda: httpx.MockTransport(broken)), now=lambda: NOW)


def _manifest(name: str) -> Manifest:
    return load_manifest(Path(__file__).parents[2] / "connectors" / name / "manifest.json")


def chatgpt() -> Account:
    """Four conversations, two memories."""
    keys = [f"c-{number}" for number in range(4)]
    answers: dict[str, Any] = {f"/conversation/{key}": detail(key) for key in keys}
    answers["/conversations"] = {"items": [item(key) for key in keys], "total": len(keys)}
    answers["/memories"] = {"memories": [memory("m1"), memory("m2")], "memory_max_tokens": 5}

    def answer(request: httpx.Request) -> Any:
        return answers.get(request.url.path, httpx.Response(404))

    given_settings = {"base_url": "https://platform.test"}
    secrets = {"access_token": "t", "device_id": "d"}
    collect = connectors.chatgpt.connector.collect
    return Account(_manifest("chatgpt"), collect, answer, "conversations", set(keys), _key_of, given_settings, secrets)


def _key_of(record: Record) -> str:
    return str(record.key)


def slack() -> Account:
    """Two channels, with messages, people and files."""
    workspace = Slack()
    workspace.add("C1", [said(stamp(at)) for at in range(5)])
    workspace.add("C2", [said(stamp(at)) for at in range(10, 14)])
    workspace.users = [user("U1"), user("U2")]
    workspace.files = [file("F1")]
    workspace.members = {"C1": ["U1", "U2"], "C2": ["U1"]}

    def answer(request: httpx.Request) -> Any:
        asked = dict(parse_qsl(request.url.query.decode()))
        try:
            found = workspace.answer(request.url.path.rpartition("/")[2], asked, f"Bearer {TOKEN}")
        except (ValueError, KeyError):  # it is asked for what a broken answer told
            found = {"ok": False, "error": "invalid_arguments"}
        return httpx.Response(found) if isinstance(found, int) else found

    names = {one["ts"] for every in workspace.messages.values() for one in every}
    given_settings = {"base_url": "https://slack.test/api"}
    collect = connectors.slack.connector.collect
    return Account(
        _manifest("slack"),
        collect,
        answer,
        "messages",
        names,
        lambda record: str(record.key).partition(":")[2],
        given_settings,
        {"token": TOKEN},
    )


def usaa() -> Account:
    """A site with an account, a card and messages."""
    bank = Bank()
    bank.fill(NOW.date() - timedelta(days=90), NOW.date())

    def answer(request: httpx.Request) -> Any:
        form = request.content.decode() or request.url.query.decode()
        values = {name: every[0] for name, every in parse_qs(form).items()}
        status, _, body = bank.answer(request.url.path, values)
        return body.decode() if status == 200 else httpx.Response(status)

    given_settings = {"base_url": "https://bank.test", "history_days": 90}
    names = {name for _, name, _ in bank.rows}
    collect = connectors.usaa.connector.collect
    return Account(_manifest("usaa"), collect, answer, "transactions", names, _store_of, given_settings, {})


def _store_of(record: Record) -> str:
    found = re.search(r"STORE \d+", json.dumps(record.data))
    return "" if found is None else found[0]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The connection's own directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path / "files"


@pytest.mark.parametrize("make", [chatgpt, slack, usaa])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=600 if IS_LONG else 15)
@given(seed=st.integers(0, 2**32), share=st.sampled_from((0.05, 0.3, 1.0)))
def test_a_broken_answer_costs_what_is_told(make: Callable[[], Account], files: Path, seed: int, share: float) -> None:
    account = make()
    broken = Broken(account, Random(seed), share)

    found = outcome_of(account, broken, files / str(seed))

    named = b"\n".join(broken.bodies)
    lost = {name for name in account.names - found.held if re.search(rb"\b%b\b" % re.escape(name.encode()), named)}
    assert not lost or found.is_told


@pytest.mark.parametrize("make", [chatgpt, slack, usaa])
def test_the_account_itself_is_read_whole(make: Callable[[], Account], files: Path) -> None:
    account = make()

    found = outcome_of(account, Broken(account, Random(0), 0.0), files)

    assert account.names <= found.held
