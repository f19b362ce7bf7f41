"""The database schema: its revision, bringing it up to date, and how long rows are kept."""

from __future__ import annotations

from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate, retention
from pdpp_worker.store.engine import Database
from pdpp_worker.store.migrate import require_current, revisions

__all__ = ["hide_credentials", "kept_days", "require_current", "revisions", "roles_of", "upgrade"]


def roles_of(db: Database) -> list[str]:
    """The SQL that makes roles with only the rights that each needs."""
    from pdpp_worker.store import roles  # which knows every table; few commands do

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


def hide_credentials(db: Database) -> None:
    """Let `pdpp_read`, where there is such a role, see everything but credentials."""
    from pdpp_worker.store import roles  # it knows the tables' definitions

    with db.begin() as connection:
        roles.hide_credentials(connection)


def kept_days(settings: Settings) -> dict[str, int]:
    """The tables of which old rows are dropped that nothing needs, and how many days they are kept."""
    return {period.table: period.days for period in retention.periods(settings)}
