"""The world of an episode: servers of its own, a fleet of real processes, an account whose truth is known."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import psycopg
from psycopg.rows import dict_row
from pydantic import SecretStr

from pdpp_worker.owner import manual_runs
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, migrate
from pdpp_worker.store.engine import Database
from tests.chaos import watch
from tests.chaos.notes import CONNECTOR, TOKEN, Notes, install, serve
from tests.chaos.proxy import Proxy
from tests.chaos.servers import HOST, PostgresProcess, ValkeyProcess, small_disk
from tests.support.fleet import ROOT, Member, beat, worker
from tests.support.servers import temporary_data_dir

WORKERS = 2
EVERY_S = 3.0
BOUNDS = {"PDPP_RUN_ATTEMPTS": "60", "PDPP_SLICE_S": "5", "PDPP_SILENCE_S": "15"}
"""A worker's bounds, short enough for a test."""
PERIODS: dict[str, Any] = {
    "lease_s": 3.0,
    "dispatch_every_s": 0.5,
    "sweep_every_s": 0.5,
    "gap_backoff_s": 0.2,
    "pacing_cold_start_ms": 1.0,
    "batch_s": 0.2,
}
"""Settings likewise."""


class Urls(NamedTuple):
    """The addresses by which the fleet reaches its servers."""

    database: str
    redis: str
    broker: str


@dataclass
class World:
    """Handles to all of it. The fleet reaches PostgreSQL through `proxy`; the test itself goes straight to it."""

    postgres: PostgresProcess
    valkey: ValkeyProcess
    proxy: Proxy
    settings: Settings
    directory: Path
    plant: Path | None
    """A directory from which every process of the fleet loads a `sitecustomize`."""
    front: str = HOST
    """The address at which the fleet reaches the sources."""
    bounds: Mapping[str, str] = field(default_factory=lambda: BOUNDS)
    workers: list[Member] = field(default_factory=list)
    beats: list[Member] = field(default_factory=list)
    notes: dict[int, Notes] = field(default_factory=dict)
    """By connection."""
    _stack: ExitStack = field(default_factory=ExitStack)

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """The rows of a query, on a connection of its own."""
        url = self.postgres.url.replace("+psycopg", "")
        with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query, values)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def database(self) -> Iterator[Database]:
        """The database as an owner's command opens it."""
        db = Database(self.postgres.url)
        try:
            yield db
        finally:
            db.close()

    def add_account(self, name: str, notes: int, pace_s: float) -> int:
        """A connection that is due at once and every few seconds; its source has so many notes, one in `pace_s` s."""
        source = Notes(lambda number, key: self._note(connection_id, number, key), pace_s)
        url = self._stack.enter_context(serve(source))
        if self.front != HOST:
            proxy = self._stack.enter_context(Proxy(int(url.rpartition(":")[2]), self.front))
            url = f"http://{self.front}:{proxy.port}"
        with self.database() as db, db.begin() as connection:
            sealed = {"token": Vault(self.settings).seal(TOKEN)}
            connection_id = connections.add(connection, name, CONNECTOR, {"base_url": url}, sealed)
            now = datetime.now(UTC)
            connections.schedule(connection, connection_id, every_s=EVERY_S, cron=None, jitter_s=0, next_run_at=now)
        self.notes[connection_id] = source
        source.put(*(f"note-{number:03}" for number in range(notes)))
        return connection_id

    def recover(self, db: Database) -> None:
        """Make every gap due, as the owner does."""
        with db.begin() as connection:
            rows = connections.list_all(connection)
        manual_runs.recover(self.settings, db, rows, GapFilter(), Budget())

    def at_work(self, choice: random.Random) -> Member:
        """A worker that holds a lease now, or any."""
        holders = self.holders()
        return choice.choice([one for one in self.workers if one.process.pid in holders] or self.workers)

    def holders(self) -> set[int]:
        """The processes that hold a lease now."""
        rows = self.rows("SELECT holder FROM leases WHERE expires_at > clock_timestamp()")
        return {int(row["holder"].rpartition(":")[2]) for row in rows}

    def start_worker(self, *, within: Sequence[str] = (), **extra: str) -> Member:
        """One more worker; `within` comes before its command line, `extra` into its environment."""
        started = worker(
            self.settings, self.directory, "control,collect", within=within, **{**self.environment, **extra}
        )
        member: Member = self._stack.enter_context(started)
        self.workers.append(member)
        return member

    def start_beat(self, **extra: str) -> None:
        """One more beat."""
        self.beats.append(self._stack.enter_context(beat(self.settings, self.directory, **extra)))

    def kill(self, member: Member) -> None:
        """End a member of the fleet and its children at once."""
        member.kill()
        for members in (self.workers, self.beats):
            if member in members:
                members.remove(member)

    def make_whole(self) -> None:
        """Start what is missing of the fleet, end what is too much."""
        self.workers = [one for one in self.workers if one.poll() is None]
        self.beats = [one for one in self.beats if one.poll() is None]
        while len(self.workers) < WORKERS:
            self.start_worker()
        for _ in self.beats[1:]:
            self.kill(self.beats[-1])
        if not self.beats:
            self.start_beat()

    def note(self, text: str) -> None:
        """Write a line beside the fleet's logs."""
        with (self.directory / "episode.log").open("a") as log:
            log.write(f"{datetime.now(UTC):%H:%M:%S} {text}\n")

    def logs(self) -> str:
        """The output of the fleet, for a failure's report."""
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-8000:]}" for path in self._log_files())

    def _log_files(self) -> Sequence[Path]:
        return sorted(self.directory.glob("*.log"))

    @property
    def environment(self) -> dict[str, str]:
        """The variables of a worker's environment beyond the settings."""
        path = {} if self.plant is None else {"PYTHONPATH": f"{self.plant}:{ROOT}"}
        own = {"PDPP_CONNECTORS_DIR": str(self.directory / "own")}
        return {**own, **self.bounds, **path}

    def _note(self, connection_id: int, number: int, key: str) -> None:
        self.rows("INSERT INTO chaos.changes VALUES (%s, %s, %s)", number, key, connection_id)


Lasting = Iterator[None]


class Fault(Protocol):
    """Begins, lasts for a while, and is over."""

    __name__: str

    def __call__(self, world: World, choice: random.Random, /) -> AbstractContextManager[None]:
        """The fault, for the length of a block."""
        ...


@contextmanager
def make_world(directory: Path, plant: Path | None = None) -> Iterator[World]:
    """Servers that run and a migrated, watched database; no fleet yet."""
    with temporary_data_dir() as home, small_disk(home), ExitStack() as stack:
        install(directory / "own")
        postgres, valkey = PostgresProcess(home), ValkeyProcess(home)
        for server in (postgres, valkey):
            stack.callback(server.kill)
            server.start()
        proxy = stack.enter_context(Proxy(postgres.port))
        urls = Urls(postgres.url_at(proxy.port), valkey.redis_url, valkey.broker_url)
        yield stack.enter_context(
            watched(World(postgres, valkey, proxy, settings_for(urls, directory), directory, plant))
        )


@contextmanager
def watched(world: World) -> Iterator[World]:
    """The world with a migrated, watched database; its fleet ends with it."""
    with world.database() as db:
        migrate.upgrade(db)
    with psycopg.connect(world.postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        watch.install(connection)
    with world._stack:
        yield world


def freeze(member: Member) -> None:
    """Stop a member of the fleet and its children where they stand."""
    os.killpg(member.process.pid, signal.SIGSTOP)


def thaw(member: Member) -> None:
    """Let it go on, if it still lives."""
    with suppress(ProcessLookupError):
        os.killpg(member.process.pid, signal.SIGCONT)


def settings_for(urls: Urls, directory: Path) -> Settings:
    """The fleet's settings, with periods short enough for a test."""
    return Settings(
        data_dir=directory / "data",
        database_url=SecretStr(urls.database),
        redis_url=SecretStr(urls.redis),
        broker_url=SecretStr(urls.broker),
        **PERIODS,
    )
