"""The tables of a tap's source: those of the catalog, and those that the source has got since it was made."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pdpp_worker.connector import ConfigurationError, Inventory, SourceMember, inventory_of
from pdpp_worker.settings import get_settings
from pdpp_worker.singer.definition import Definition
from pdpp_worker.singer.nameless_file import nameless_file

_DISCOVERY_S = 60.0
"""Longest time that a tap may take to list its tables before a walk, s; a slower one is asked for no new ones."""
_NOT_CHOSEN = "was not chosen when the connector was made; make it anew with --replace, --stream and a higher --version"
_NEW = "the source has got it since the connector was made; make it anew with --replace and a higher --version"


@dataclass(frozen=True)
class NewTables:
    """Tables that the catalog lacks, by the tap's ids, and the day on which the tap was asked."""

    asked_on: str
    names: tuple[str, ...]

    @classmethod
    def in_cursors(cls, cursors: Mapping[str, Any]) -> NewTables | None:
        """The latest that a cursor holds."""
        held = [cursor["tables"] for cursor in cursors.values() if isinstance(cursor, dict) and cursor.get("tables")]
        latest = max(held, key=lambda one: str(one["asked_on"]), default=None)
        return None if latest is None else cls(str(latest["asked_on"]), tuple(latest["names"]))

    def dump(self) -> dict[str, Any]:
        """The form that a cursor holds."""
        return {"asked_on": self.asked_on, "names": list(self.names)}


def look_for_new(
    definition: Definition, config: Mapping[str, Any], cursors: Mapping[str, Any], today: date
) -> NewTables | None:
    """Ask the tap for its tables, at most once a day; None when it cannot tell."""
    held = NewTables.in_cursors(cursors)
    if held is not None and held.asked_on == today.isoformat():
        return held
    found = _discover(definition.tap, config)
    if found is None:
        return held
    known = {str(one["tap_stream_id"]) for one in definition.catalog["streams"]}
    return NewTables(today.isoformat(), tuple(sorted(found - known)))


def inventory(definition: Definition, new: NewTables | None) -> Inventory:
    """Every table: collected, not chosen, or new."""
    ours = {theirs: name for name, theirs in definition.streams.items()}
    members = []
    for one in definition.catalog["streams"]:
        name = str(one["tap_stream_id"])
        if name in ours:
            members.append(SourceMember(kind="table", name=name, disposition="collected", streams=[ours[name]]))
        else:
            members.append(SourceMember(kind="table", name=name, disposition="declared", reason=_NOT_CHOSEN))
    names = () if new is None else new.names
    members += [SourceMember(kind="table", name=name, disposition="declared", reason=_NEW) for name in names if name]
    return inventory_of("catalog", members)


def _discover(tap: list[str], config: Mapping[str, Any]) -> set[str] | None:
    """The ids of the tables that the tap lists; None when it lists none."""
    try:
        return listed(tap, config) or None
    except ConfigurationError:
        return None


def listed(tap: list[str], config: Mapping[str, Any]) -> set[str]:
    """Ask the tap for the ids of its tables.

    Raises:
        ConfigurationError: it does not answer, or with no catalog; holds its last words.
    """
    try:
        asked = _asked(tap, config)
        return {str(one["tap_stream_id"]) for one in json.loads(asked.stdout)["streams"]}
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(f"the tap's --discover did not answer ({type(error).__name__})") from None
    except (ValueError, KeyError, TypeError):
        words = asked.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        text = f"the tap's --discover gave no catalog (exit code {asked.returncode}): {words or 'it said nothing'}"
        raise ConfigurationError(text) from None


def _asked(tap: list[str], config: Mapping[str, Any]) -> subprocess.CompletedProcess[bytes]:
    with nameless_file(config) as file:
        return subprocess.run(
            [*tap, "--config", file.path, "--discover"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DISCOVERY_S,
            check=False,
            env=get_settings().platform_environment(),
            pass_fds=[file.descriptor],
        )
