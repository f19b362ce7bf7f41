"""Bring the schema to the version that this code needs."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.engine import Database


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def upgrade(db: Database, revision: str = "head") -> None:
    """Apply the migrations up to `revision`."""
    with db.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def downgrade(db: Database, revision: str) -> None:
    """Take migrations back down to `revision` (`base` removes all tables)."""
    with db.begin() as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.downgrade(config, revision)


def revisions(db: Database) -> tuple[str | None, str | None]:
    """The revision that the database has, and the one that this code needs."""
    with db.begin() as connection:
        have = MigrationContext.configure(connection).get_current_revision()
    return have, ScriptDirectory.from_config(_config()).get_current_head()


def require_current(db: Database) -> None:
    """Refuse to work on a schema of another version.

    Raises:
        ConfigurationError: naming the command that mends it.
    """
    have, need = revisions(db)
    if have != need:
        raise ConfigurationError(
            f"The database schema is at revision {have or 'none'}, this version needs {need}. "
            "Run: pdpp-worker db upgrade"
        )
