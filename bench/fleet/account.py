"""An account at the practice provider, and conversations of it that are missing and due."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import text

from connectors.chatgpt.practice.account import Account
from connectors.chatgpt.practice.options import ProviderOptions
from connectors.chatgpt.practice.process import ProviderProcess
from pdpp_worker.protocol.scope import ResourceScope, scope_hash
from pdpp_worker.secrets import Vault
from pdpp_worker.store import connections
from pdpp_worker.store.engine import Database

NAME = "account"
_MISSING = text("""
    INSERT INTO gaps (connection_id, stream, parent_stream, scope, scope_hash, reason, recovery_kind, first_run_id,
        last_run_id, next_attempt_at, connector_version_seen)
    SELECT connections.id, 'messages', 'conversations', CAST(scope AS jsonb), hash, 'timed_out', 'retry_by_runtime',
        0, 0, now(), '1.0.0'
    FROM connections, unnest(CAST(:scopes AS text[]), CAST(:hashes AS bytea[])) AS missing (scope, hash)
    WHERE connections.name = :name
""")


def conversation_ids(options: ProviderOptions) -> list[str]:
    """The conversations of the account, newest first."""
    return [conversation.id for conversation in Account(options.seed, options.conversations)]


def connect(db: Database, vault: Vault, provider: ProviderProcess) -> None:
    """Add the account as a connection."""
    secrets = {"access_token": vault.seal(provider.options.token)}
    with db.begin() as connection:
        connections.add(connection, NAME, "chatgpt", {"base_url": provider.base_url}, secrets)


def miss(db: Database, ids: Sequence[str]) -> None:
    """Open a gap, due now, for each of these conversations."""
    scopes = [ResourceScope(resource_id=name) for name in ids]
    values = {"scopes": [one.model_dump_json() for one in scopes], "hashes": [scope_hash(one) for one in scopes]}
    with db.begin() as connection:
        connection.execute(_MISSING, {"name": NAME, **values})
