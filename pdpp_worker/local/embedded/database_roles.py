"""The roles of the embedded PostgreSQL, and who may be one: the fleet's own user of this machine.

It is the program's role, which owns the database and nothing else, or, to maintain the server, the superuser. The
server learns the user from the socket, so there is no password to be lost.

A directory of an earlier version, which let in everybody who reached the socket, is brought to this.
"""

from __future__ import annotations

import os
import pwd
from pathlib import Path

SUPERUSER, ROLE, DATABASE = "postgres", "pdpp", "pdpp"

_ACCESS = """\
# Written by pdpp-worker. The users of this machine that may be a role stand in pg_ident.conf.
local all all peer map=pdpp
"""
_OWN_EVERYTHING = (
    """
DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pdpp') THEN CREATE ROLE pdpp LOGIN; END IF; END$$
""",
    "ALTER DATABASE pdpp OWNER TO pdpp",
    # 10 is the superuser who made the cluster; what depends on something else follows that.
    """
DO $$DECLARE one regclass; BEGIN
FOR one IN SELECT oid FROM pg_class AS c
WHERE relowner = 10 AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
AND relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND NOT EXISTS (
SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i', 'e'))
LOOP EXECUTE format('ALTER TABLE %s OWNER TO pdpp', one); END LOOP; END$$
""",
    """
DO $$DECLARE one regprocedure; BEGIN
FOR one IN SELECT oid FROM pg_proc AS p WHERE proowner = 10
AND pronamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) AND NOT EXISTS (
SELECT FROM pg_depend AS d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
LOOP EXECUTE format('ALTER ROUTINE %s OWNER TO pdpp', one); END LOOP; END$$
""",
)


def is_guarded(data: Path) -> bool:
    """Whether the server with this data directory asks who a client is."""
    try:
        return (data / "pg_hba.conf").read_text(encoding="utf-8", errors="replace") == _ACCESS
    except OSError:
        return False


def own_everything() -> str:
    """The statements that let the program's role own its database with all that is in it, one a line.

    They may be repeated.
    """
    return "".join(f"{' '.join(statement.split())}\n" for statement in _OWN_EVERYTHING)


def guard(data: Path) -> None:
    """Let the server that is started next ask who a client is; the roles are there already."""
    user = pwd.getpwuid(os.geteuid()).pw_name.replace('"', '""')
    names = "".join(f'{ROLE} "{user}" {role}\n' for role in (ROLE, SUPERUSER))
    for file, text in (("pg_ident.conf", names), ("pg_hba.conf", _ACCESS)):
        _replace(data / file, text)


def _replace(path: Path, text: str) -> None:
    """Put a text in the place of a file, as one step, for the same owner."""
    owner = path.parent.stat()
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_text(text, encoding="utf-8")
    unfinished.chmod(0o600)
    os.chown(unfinished, owner.st_uid, owner.st_gid)
    unfinished.replace(path)
