"""Sets the demonstration up: its own data directory, a practice provider and two connections that are due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from pdpp_worker.demo.provider.account import Account
from pdpp_worker.demo.provider.options import Change, FaultOptions, ProviderOptions, QuotaOptions
from pdpp_worker.demo.provider.process import ProviderProcess
from pdpp_worker.demo.sample_logs import append_activity, write_sample
from pdpp_worker.errors import NotFoundError
from pdpp_worker.secrets import Vault
from pdpp_worker.settings import Settings
from pdpp_worker.store import connections, edits
from pdpp_worker.store.engine import Database

CHATGPT, CLAUDE_CODE = "demo-chatgpt", "demo-claude-code"
SEED = 7
CONVERSATIONS = 240
TOKEN = "demo-token"  # noqa: S105 - opens a made-up account on loopback
QUOTA = QuotaOptions(law="bucket", rate_per_s=3.2, burst=20)
FAILING = 7
"""Conversations that the provider cannot open on the first day, and can on the next."""
DAY = Change(updates=9, new=4)
EVERY_S = 3600.0

FLEET = {
    "PDPP_DISPATCH_EVERY_S": "2",
    "PDPP_SWEEP_EVERY_S": "10",
    "PDPP_SLICE_S": "20",
    "PDPP_PACING_COLD_START_MS": "250",
}
"""What the fleet of the demonstration does more often than a real one, so that there is something to watch."""


@dataclass(frozen=True)
class Stage:
    """Where the demonstration takes place."""

    settings: Settings
    provider: ProviderProcess
    logs: Path
    logs_are_the_users: bool
    is_first: bool


def demo_settings(base: Settings) -> Settings:
    """Settings of the demonstration's own: it never touches the data, or the servers, of the real fleet."""
    servers: dict[str, SecretStr | None] = {"database_url": None, "redis_url": None, "broker_url": None}
    return base.model_copy(update={**servers, "data_dir": base.data_dir / "demo", "flower_port": 0})


def make_provider(settings: Settings) -> ProviderProcess:
    """The practice provider; it remembers, from one demonstration to the next, what happened to the account."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    options = ProviderOptions(
        seed=SEED, conversations=CONVERSATIONS, token=TOKEN, quota=QUOTA, state=settings.data_dir / "provider.json"
    )
    return ProviderProcess(options)


def set_stage(settings: Settings, db: Database, provider: ProviderProcess) -> Stage:
    """Add the connections, or let a day pass for those that are there, and make both due now."""
    users = Path("~/.claude/projects").expanduser()
    is_users = any(users.glob("*/*.jsonl"))
    logs = users if is_users else settings.data_dir / "sample-logs" / "projects"
    is_first = not _exists(db)
    _let_a_day_pass(provider, logs, is_first=is_first, is_sample=not is_users)
    home = users.parent if is_users else logs.parent
    _connect(settings, db, CHATGPT, "chatgpt", {"base_url": provider.base_url}, {"access_token": TOKEN})
    _connect(settings, db, CLAUDE_CODE, "claude_code", {"projects_dir": str(logs), "claude_dir": str(home)}, {})
    return Stage(settings, provider, logs, is_users, is_first)


def _exists(db: Database) -> bool:
    with db.begin() as connection:
        return bool(connections.list_all(connection))


def _let_a_day_pass(provider: ProviderProcess, logs: Path, *, is_first: bool, is_sample: bool) -> None:
    if is_sample and not logs.exists():
        write_sample(logs, SEED)
    elif is_sample:
        append_activity(logs, SEED)
    if is_first:
        provider.set_faults(FaultOptions(status_by_id=dict.fromkeys(_some_conversations(), 503)))
    else:
        provider.advance(DAY)


def _some_conversations() -> list[str]:
    ids = sorted(one.id for one in Account(SEED, CONVERSATIONS))
    return ids[:: len(ids) // FAILING][:FAILING]


def _connect(
    settings: Settings, db: Database, name: str, connector: str, values: dict[str, str], secrets: dict[str, str]
) -> None:
    vault = Vault(settings)
    with db.begin() as connection:
        try:
            connection_id = connections.get(connection, name).id
            edits.set_settings(connection, connection_id, dict(values))
        except NotFoundError:
            sealed = {key: vault.seal(value) for key, value in secrets.items()}
            connection_id = connections.add(connection, name, connector, dict(values), sealed)
        connections.schedule(
            connection, connection_id, every_s=EVERY_S, cron=None, jitter_s=0, next_run_at=datetime.now(UTC)
        )
