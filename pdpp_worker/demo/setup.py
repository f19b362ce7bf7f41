"""Sets the demonstration up: its own data directory, and connections to practice accounts that are due."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import SecretStr

from pdpp_worker import registry
from pdpp_worker.demo.account import DemoAccount, DemoFactory
from pdpp_worker.errors import NotFoundError
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, edits
from pdpp_worker.store.engine import Database

EVERY_S = 3600.0

FLEET = {
    "PDPP_DISPATCH_EVERY_S": "2",
    "PDPP_SWEEP_EVERY_S": "10",
    "PDPP_SLICE_S": "20",
    "PDPP_PACING_COLD_START_MS": "250",
}
"""Settings by which the fleet of the demonstration does more often than a real one what there is to watch."""


@dataclass(frozen=True)
class DemoConnection:
    """A connection of the demonstration."""

    manifest: Manifest
    account: DemoAccount

    @property
    def name(self) -> str:
        """The connection's name."""
        return f"demo-{self.manifest.name.replace('_', '-')}"


@dataclass(frozen=True)
class Demo:
    """A demonstration that is ready to run."""

    settings: Settings
    connections: Sequence[DemoConnection]
    is_first: bool


def demo_settings(base: Settings) -> Settings:
    """Settings of the demonstration's own: it never touches the data, or the servers, of the real fleet."""
    servers: dict[str, SecretStr | None] = {"database_url": None, "redis_url": None, "broker_url": None}
    return base.model_copy(update={**servers, "data_dir": base.data_dir / "demo", "web_port": 0})


@contextmanager
def open_demo(settings: Settings, db: Database) -> Iterator[Demo]:
    """Open every practice account, add a connection to each, or let a day pass for it, and make all due now."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    with db.begin() as connection:
        is_first = not connections.list_all(connection)
    with ExitStack() as opened:
        found = [
            DemoConnection(manifest, opened.enter_context(factory(settings.data_dir, is_first=is_first)))
            for manifest, factory in _factories()
        ]
        for one in found:
            _connect(settings, db, one)
        yield Demo(settings, found, is_first)


def _factories() -> Iterator[tuple[Manifest, DemoFactory]]:
    """Each installed connector that brings an account to the demonstration."""
    for connector in registry.packaged_connectors().values():
        module = connector.module("practice.demo")
        if module is not None:
            yield connector.manifest, module.open_account


def _connect(settings: Settings, db: Database, demo: DemoConnection) -> None:
    vault = Vault(settings)
    values = dict(demo.account.settings)
    with db.begin() as connection:
        try:
            connection_id = connections.get(connection, demo.name).id
            edits.set_settings(connection, connection_id, values)
        except NotFoundError:
            sealed = {
                key: vault.seal(value, Place(demo.manifest.name, demo.name, key))
                for key, value in demo.account.secrets.items()
            }
            connection_id = connections.add(connection, demo.name, demo.manifest.name, values, sealed)
        connections.schedule(
            connection, connection_id, every_s=EVERY_S, cron=None, jitter_s=0, next_run_at=datetime.now(UTC)
        )
