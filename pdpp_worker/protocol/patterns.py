"""Names of members of a source that stand for several: with wildcards, and with words in brackets for what differs."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_DIFFERS = re.compile(r"<[^<>/]+>")


def is_pattern(name: str) -> bool:
    """Whether a member's name stands for several: `todos/*.json`, `<project>/notes.md`."""
    return "*" in name or "?" in name or _DIFFERS.search(name) is not None


def stands_for(member: str, name: str) -> bool:
    """Whether a member's name is that of something, or a pattern that fits it; `**/` stands for any directories."""
    return member == name or (is_pattern(member) and fnmatchcase(name, _wild(member)))


def _wild(pattern: str) -> str:
    return _DIFFERS.sub("*", pattern).replace("**/", "*")
