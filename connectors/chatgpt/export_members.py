"""The members of an export: what each is for, so that none goes unnamed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

SHARES_MEMBER = re.compile(r"(?:.*/)?shared_conversations\.json")
CONVERSATIONS_MEMBER = re.compile(r"(?:.*/)?conversations(?:-\d+)?\.json")
"""Large exports come in numbered parts."""
_DECLARED = re.compile(
    r"(?:.*/)?(?:chat\.html|user\.json|user_settings\.json|export_manifest\.json)|.*/|"
    r".*\.(?:pdf|png|jpe?g|webp|gif|wav|mp3|mp4|csv|txt|docx?|xlsx?|pptx?|md|zip|dat|bin)",
    re.IGNORECASE,
)
"""Members of which the connector's page says why they are not collected: the account's own data, a copy of the
conversations for reading, and the bytes of files."""


def not_collected(names: Sequence[str]) -> list[str]:
    """The members that hold what an owner may look for and this version does not read; many of a folder as one."""
    unknown = (name for name in names if not any(kind.fullmatch(name) for kind in _KNOWN))
    counts = Counter(_kind(name) for name in unknown)
    return sorted(f"{kind} ({count})" if count > 1 else kind for kind, count in counts.items())


def _kind(name: str) -> str:
    folder, slash, file = name.rpartition("/")
    return f"{folder.rpartition('/')[2]}/*.{file.rpartition('.')[2]}" if slash else file


_KNOWN = (SHARES_MEMBER, CONVERSATIONS_MEMBER, _DECLARED)
