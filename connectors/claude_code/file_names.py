"""Facts that the name of a file tells."""

from __future__ import annotations

import re

_AGENT_META = re.compile(r"agent-(.+)\.meta\.json")


def agent_of(name: str) -> str | None:
    """The id of the subagent that a file of this name describes; None of any other file."""
    match = _AGENT_META.fullmatch(name.rsplit("/", 1)[-1])
    return match[1] if match else None
