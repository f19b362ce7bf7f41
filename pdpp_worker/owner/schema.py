"""The database schema: its revision, and bringing it up to date."""

from __future__ import annotations

from pdpp_worker.store import migrate, roles
from pdpp_worker.store.engine import Database
from pdpp_worker.store.migrate import require_current, revisions

__all__ = ["require_current", "revisions", "roles_of", "upgrade"]


def roles_of(db: Database) -> list[str]:
    """The SQL that makes roles with only the rights that each needs."""
    return list(roles.statements(db.engine.url.database or "pdpp"))


def upgrade(db: Database) -> bool:
    """Bring the schema to the version that this code needs; returns whether it was of another one.

    Raises:
        ConfigurationError: the schema was made by a newer version.
    """
    have, need = revisions(db)
    if have is not None and have >= need:
        return False
    migrate.upgrade(db)
    return True
