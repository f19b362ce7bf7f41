"""The database schema: its revision, bringing it up to date, and how long rows are kept."""

from __future__ import annotations

from pdpp_worker.settings import Settings
from pdpp_worker.store import migrate, retention
from pdpp_worker.store.engine import Database
from pdpp_worker.store.migrate import require_current, revisions

__all__ = ["kept_days", "require_current", "revisions", "upgrade"]


def upgrade(db: Database) -> None:
    """Bring the schema to the version that this code needs.

    Raises:
        ConfigurationError: the schema was made by a newer version.
    """
    have, need = revisions(db)
    if have is None or have < need:
        migrate.upgrade(db)


def kept_days(settings: Settings) -> dict[str, int]:
    """The tables of which old rows are dropped that nothing needs, and how many days they are kept."""
    return {period.table: period.days for period in retention.periods(settings)}
