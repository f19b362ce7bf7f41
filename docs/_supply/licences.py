"""The licences of what a fleet installs, as the packages state them."""

from __future__ import annotations

import re
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

from docs._supply.pins import pins_of

REQUIREMENTS = Path(__file__).parents[2] / "requirements" / "run.txt"
ALLOWED = {
    *("MIT", "MIT-0", "MIT-CMU", "MIT License", "ISC License", "ISC License (ISCL)", "PSF-2.0", "PSFL"),
    *("BSD", "New BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "Apache Software License"),
    # Of these, the files themselves may not be changed without being published; a library may be used by anybody.
    *("MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)", "LGPL-3.0-only"),
}
UNTOLD = {
    # Their metadata name none, or they are for other systems than this one.
    "imapclient": "BSD-3-Clause",
    "async-timeout": "Apache-2.0",
    "colorama": "BSD-3-Clause",
    "pypdfium2": "BSD-3-Clause, Apache-2.0",
    "tzdata": "Apache-2.0",
    "valkey": "MIT",
}


def licences() -> dict[str, str]:
    """Package to its licence; empty where nothing is known of it."""
    return {name: UNTOLD.get(name) or _told(name) for name in sorted(pins_of(REQUIREMENTS))}


def is_allowed(licence: str) -> bool:
    """Whether every part of a licence is among those that the project may ship with."""
    if licence in ALLOWED:
        return True
    parts = [part.strip() for part in re.split(r" AND | OR |, ", re.sub(r"(?:^|(?<=\s))\(|\)$|\)(?=\s)", "", licence))]
    return bool(licence) and all(part in ALLOWED for part in parts)


def _told(name: str) -> str:
    try:
        said = metadata(name)
    except PackageNotFoundError:
        return ""
    return _first(said, "License-Expression") or ", ".join(_classifiers(said)) or _first(said, "License")


def _first(said: PackageMetadata, field: str) -> str:
    return next(iter(said.get_all(field) or []), "")


def _classifiers(said: PackageMetadata) -> list[str]:
    found = [one for one in said.get_all("Classifier") or [] if one.startswith("License :: OSI Approved :: ")]
    return [one.rpartition(" :: ")[2] for one in found]
