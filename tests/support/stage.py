"""Workers and watched connections on one database, step by step in one thread."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
from redis import Redis

from pdpp_worker import registry
from pdpp_worker.connector import AuthExpired, Context, Message, Start
from pdpp_worker.errors import PdppError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.runtime.slice import SliceResult, run_slice
from pdpp_worker.store import connections
from tests.support.account import Account
from tests.support.emptying import emptying_with_references
from tests.support.scripted import Scenario, ScriptedConnector, manifest
from tests.support.source import STREAMS, name_of
from tests.support.worker import Killed, Mischief, Mortal, watch_commits

CONNECTOR = "scripted"
RECOVERY = {
    "supports_targeted_resource_fetch": True,
    "supports_version_bumped_retry": True,
    "scopes": ["resource", "batch"],
}


def of(version: str, *streams: str, without: str | None = None) -> Manifest:
    """The manifest of a version; the setting `without` rules out that stream."""
    declared = [dict(STREAMS[stream]) for stream in streams]
    for one in declared:
        if one["name"] == without:
            one["availability"] = {"supplied": False, "with": "without", "reason": "left out by a setting"}
    given = {} if without is None else {"settings": {"without": {"title": "Without", "type": "boolean"}}}
    return manifest(*declared, version=version, recovery=RECOVERY, credentials={"token": {"title": "Token"}}, **given)


@dataclass
class Shift:
    """A worker at one slice."""

    account: Account
    mischief: Mischief
    worker: Mortal


class Stage:
    """The database of a `Scenario` with watched connections."""

    def __init__(self, scenario: Scenario, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scenario = scenario
        self._redis = redis
        self._monkeypatch = monkeypatch
        self._shifts: list[Shift] = []
        self.accounts: list[Account] = []
        self.starts: list[tuple[str, Start]] = []
        """The version that was called, and what it was asked."""
        scenario.execute(emptying_with_references("connections", "records", "removals"))
        watch_commits(monkeypatch)

    def configure(self, **changes: Any) -> None:
        """Change settings of the fleet."""
        calm = {"lease_s": 600.0, "batch_s": 600.0, "gap_backoff_s": 600.0}
        self.scenario.settings = self.scenario.settings.model_copy(update={**calm, **changes})

    def add(self, name: str) -> Account:
        """A new connection."""
        with self.scenario.db.begin() as connection:
            self.accounts.append(Account(self.scenario, connections.add(connection, name, CONNECTOR, {}, {})))
        return self.accounts[-1]

    def install(self, given: Manifest) -> None:
        """Let this version be the installed one."""

        def collect(start: Start, _: Context) -> Iterator[Message]:
            self.starts.append((given.version, start))
            return self._collect(start, given.version)

        connector = ScriptedConnector(given, CONNECTOR, collect)
        self._monkeypatch.setattr(registry, "all_connectors", lambda: {CONNECTOR: connector})

    def work(self, account: Account, run_id: int, mischief: Mischief | None = None) -> SliceResult | None:
        """Work one slice; a worker that dies holds nothing any more."""
        shift = self._shift(account, run_id, mischief or Mischief())
        self._shifts.append(shift)
        try:
            stops = shift.mischief.stops
            return run_slice(self.scenario.settings, shift.worker, self._redis, run_id, stopping=lambda: stops)
        except (Killed, PdppError):
            self.expire(account)
            return None
        finally:
            self._shifts.pop()

    def finish(self, account: Account, most: int = 60) -> Sequence[dict[str, Any]]:
        """Work the active run to its end; returns what is not over after so many slices."""
        for _ in range(most):
            if not (active := account.active):
                return []
            account.execute("UPDATE runs SET not_before = now() WHERE connection_id = :c AND ended_at IS NULL")
            self.work(account, active[0]["id"])
        return account.active

    def expire(self, account: Account) -> None:
        """The lease of the connection has run out."""
        account.execute("UPDATE leases SET expires_at = clock_timestamp() WHERE connection_id = :c")

    def check(self) -> None:
        """Assert what holds at any time, of all connections."""
        for account in self.accounts:
            account.check()
            account.reopened = frozenset()

    def _shift(self, account: Account, run_id: int, mischief: Mischief) -> Shift:
        durable = partial(account.ledger.apply, run_id)
        return Shift(account, mischief, Mortal(self.scenario.db, mischief, durable))

    def _collect(self, start: Start, version: str) -> Iterator[Message]:
        shift = self._shifts[-1]
        account, mischief = shift.account, shift.mischief
        account.begin(start)
        account.ledger.hand(int(start.run_id), ((gap.stream, name_of(gap.scope)) for gap in start.detail_gaps))
        held = account.credentials
        try:
            for number, (message, word) in enumerate(account.source.messages(start, version)):
                if number == mischief.at_message and (instead := mischief.happens()) is not None:
                    yield instead
                if word is not None:
                    shift.worker.said.append(word)
                    if word.reason == "credentials_expired":
                        account.refused.add(held)
                yield message
        except AuthExpired:
            account.refused.add(held)
            raise
