"""Known vulnerabilities, from a folder of advisories in OSV's form, such as an unpacked PyPI/all.zip of osv.dev."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from packaging.utils import NormalizedName, canonicalize_name
from packaging.version import InvalidVersion, Version


class Finding(NamedTuple):
    """A vulnerability of a pinned version."""

    package: str
    version: str
    advisory: str
    summary: str


class Advisories:
    """The advisories of a folder, by package."""

    def __init__(self, folder: Path) -> None:
        """Read all of them.

        Raises:
            ValueError: the folder holds none, so that nothing could be looked up.
        """
        self._by_package: dict[NormalizedName, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = defaultdict(list)
        for path in folder.rglob("*.json"):
            advisory = json.loads(path.read_bytes())
            for affected in advisory.get("affected", []) if not advisory.get("withdrawn") else []:
                package = affected.get("package", {})
                if package.get("ecosystem") == "PyPI":
                    self._by_package[canonicalize_name(package["name"])].append((advisory, affected))
        if not self._by_package:
            raise ValueError(f"{folder} holds no advisories about packages of Python")

    def about(self, package: NormalizedName, version: str) -> Iterator[Finding]:
        """The vulnerabilities of a version."""
        for advisory, affected in self._by_package[package]:
            if _affects(affected, version):
                yield Finding(package, version, str(advisory["id"]), str(advisory.get("summary", "")))


def _affects(affected: Mapping[str, Any], version: str) -> bool:
    ranges = [one["events"] for one in affected.get("ranges", []) if one.get("type") == "ECOSYSTEM"]
    return version in affected.get("versions", []) or any(_is_within(events, Version(version)) for events in ranges)


def _is_within(events: list[Mapping[str, str]], version: Version) -> bool:
    """Whether a version lies behind an event that introduces the fault, and before the one that ends it."""
    affected = False
    for event in sorted(events, key=lambda one: _version(next(iter(one.values())))):
        [(kind, at)] = event.items()
        if kind == "introduced" and version >= _version(at):
            affected = True
        elif (kind == "fixed" and version >= _version(at)) or (kind == "last_affected" and version > _version(at)):
            affected = False
    return affected


def _version(text: str) -> Version:
    try:
        return Version(text)
    except InvalidVersion:  # "0" stands for the first one of all; others than versions stand in no PyPI advisory
        return Version("0")
