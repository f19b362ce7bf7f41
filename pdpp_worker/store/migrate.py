"""Bring the schema to the version that this code needs.

Every process asks which version that is, few have anything to bring: Alembic is loaded only for those.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pdpp_worker.errors import SchemaMismatchError
from pdpp_worker.store.sql import text

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

    from pdpp_worker.store.engine import Database

_MIGRATIONS = Path(__file__).parent / "migrations"
_IS_MIGRATED = text("SELECT to_regclass('alembic_version') IS NOT NULL")
_REVISION = text("SELECT version_num FROM alembic_version")
OLDEST_CODE = "0010"
"""The revision of the oldest code that works with this schema. Migrations only add to what that code uses; one that
takes something away raises this number, and comes a release after the code that no longer needs it."""
_TELL_OLDEST = text(f"COMMENT ON TABLE alembic_version IS 'oldest code: {OLDEST_CODE}'")
_OLDEST_CODE = text("SELECT obj_description('alembic_version'::regclass)")
_TOLD = re.compile(r"oldest code: (\d{4})")


def upgrade(db: Database, revision: str = "head") -> None:
    """Apply the migrations up to `revision`.

    Raises:
        SchemaMismatchError: the schema was made by a newer version.
    """
    from alembic import command
    from alembic.util import CommandError

    with db.begin() as connection:
        try:
            command.upgrade(_config(connection), revision)
            connection.execute(_TELL_OLDEST)
        except CommandError as error:
            raise SchemaMismatchError(
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
    from sqlalchemy.exc import ProgrammingError  # a look is without SQLAlchemy

    with db.glance() as connection:
        try:
            return connection.execute(_REVISION).scalar_one_or_none(), _needed()
        except ProgrammingError:  # no table: nothing was migrated yet
            return None, _needed()


def require_current(db: Database) -> None:
    """Refuse to work on an older schema, and on a newer one that took away what this code uses.

    Raises:
        SchemaMismatchError: naming what fixes it.
    """
    have, need = revisions(db)
    if have is None or have < need:
        raise SchemaMismatchError(
            f"The database schema is at revision {have or 'none'}, this version needs {need}. "
            "Run: pdpp-worker db upgrade"
        )
    if have > need and (oldest := _oldest_code(db)) > need:
        raise SchemaMismatchError(
            f"The database schema is at revision {have}, for code that knows revision {oldest}; this version knows "
            f"{need}. Install the newer version."
        )


def is_current(connection: Connection) -> bool:
    """Whether the database has the very revision that this code needs."""
    return _have(connection) == _needed()


@lru_cache(maxsize=1)
def _needed() -> str:
    return max(path.name.partition("_")[0] for path in _MIGRATIONS.glob("versions/[0-9]*.py"))


def _oldest_code(db: Database) -> str:
    """The revision of the oldest code that works with the schema, as the code said that migrated it last."""
    with db.begin() as connection:
        said = _TOLD.fullmatch(connection.execute(_OLDEST_CODE).scalar_one() or "")
    return said[1] if said else "9999"


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
