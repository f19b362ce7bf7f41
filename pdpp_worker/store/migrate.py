"""Bring the schema to the version that this code needs.

Every process asks which version that is, few have anything to bring: Alembic is loaded only for those.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.store.engine import Database

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"
_IS_MIGRATED = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")


def upgrade(db: Database, revision: str = "head") -> None:
    """Apply the migrations up to `revision`.

    Raises:
        ConfigurationError: the schema was made by a newer version.
    """
    from alembic import command
    from alembic.util import CommandError

    with db.begin() as connection:
        try:
            command.upgrade(_config(connection), revision)
        except CommandError as error:
            raise ConfigurationError(
                f"The database schema is at revision {_have(connection)}, which this version does not know ({error}). "
                "Install the version that made it, or a newer one."
            ) from None


def downgrade(db: Database, revision: str) -> None:
    """Take migrations back down to `revision` (`base` removes all tables)."""
    from alembic import command

    with db.begin() as connection:
        command.downgrade(_config(connection), revision)


def revisions(db: Database) -> tuple[str | None, str]:
    """The revision that the database has, and the one that this code needs: the newest of the numbered files."""
    with db.begin() as connection:
        have = _have(connection)
    return have, max(path.name.partition("_")[0] for path in _MIGRATIONS.glob("versions/[0-9]*.py"))


def require_current(db: Database) -> None:
    """Refuse to work on a schema of another version.

    Raises:
        ConfigurationError: naming the command that fixes it.
    """
    have, need = revisions(db)
    if have != need:
        raise ConfigurationError(
            f"The database schema is at revision {have or 'none'}, this version needs {need}. "
            "Run: pdpp-worker db upgrade"
        )


def _have(connection: Connection) -> str | None:
    if not connection.execute(_IS_MIGRATED).scalar_one():
        return None
    revision: str | None = connection.execute(_REVISION).scalar_one_or_none()
    return revision


def _config(connection: Connection) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    config.attributes["connection"] = connection
    return config
