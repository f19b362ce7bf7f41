"""Tries a workspace: opens the archive or the exports that are named, or asks the Web API who is signed in."""

from __future__ import annotations

from pathlib import Path

from connectors.slack import export_kinds
from connectors.slack.accounts import account_of
from connectors.slack.api import api_of, open_client
from connectors.slack.archive import FILE_NAME, UNREADABLE, database_of, open_archive
from connectors.slack.archive_inventory import archive_inventory
from connectors.slack.errors import ArchiveError
from connectors.slack.exports import has_token
from connectors.slack.fields import text
from connectors.slack.slackdump import find
from pdpp_worker.connector import ConfigurationError, Context, Reached

_FIRST_RUN = "The archive is not there yet: the first run lets slackdump make it."


def check(context: Context) -> Reached:
    """The first of an archive, exports and the Web API that the settings name; exports beside a token as well."""
    archive, export = (text(context.settings.get(name)) for name in ("archive", "export"))
    holds = _in_exports(Path(export)) if export else {}
    if archive:
        return _in_archive(context, archive, holds)
    if export and not has_token(context):
        return Reached(holds=holds)
    return _online(context, holds)


def _online(context: Context, holds: dict[str, int | None]) -> Reached:
    with open_client(context) as client:
        api = api_of(client, context)
        account = next(account_of(api.identity()), None)
        first = next(api.channels())
    return Reached(account, {"conversations": None if first.cursor else len(first.items), **holds})


def _in_exports(path: Path) -> dict[str, int | None]:
    found = export_kinds.find(path)
    if not found.trees:
        raise ConfigurationError(f"there is no export: {', '.join(one.name for one in found.others)}")
    return {"exports": len(found.trees)}


def _in_archive(context: Context, archive: str, holds: dict[str, int | None]) -> Reached:
    database = database_of(archive)
    if not database.is_file() and Path(archive).exists() and (trees := export_kinds.find(Path(archive)).trees):
        return Reached(holds={"exports": len(trees), **holds})
    runs = context.settings.get("run_slackdump", True) and database.name == FILE_NAME
    if not database.is_file() and runs and find(str(context.settings.get("slackdump") or "slackdump")):
        return Reached(holds=holds, remark=_FIRST_RUN)
    try:
        with open_archive(database) as opened:
            counts = {
                one.name: one.count for one in archive_inventory(opened).members if one.disposition == "collected"
            }
    except (ArchiveError, *UNREADABLE) as error:
        raise ConfigurationError(f"the archive cannot be read: {error}") from None
    return Reached(holds={f"rows of {name}": count for name, count in counts.items()} | holds)
