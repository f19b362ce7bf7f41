"""From bytes to text, whatever the sender claimed about them."""

from __future__ import annotations

import codecs

_SAME = {"us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "cp1252", "latin-1": "cp1252", "x-unknown": "utf-8"}
"""What is written under these names is as a rule the wider set."""


def decoded(raw: bytes, charset: str | None) -> str:
    """Text in its declared character set; where that is missing or wrong, in UTF-8 or else in Windows-1252."""
    name = _known(charset)
    if name is not None and name != "utf-8":
        return raw.decode(name, "replace")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8" if name is not None and charset in ("utf-8", "utf8") else "cp1252", "replace")


def _known(charset: str | None) -> str | None:
    wanted = (charset or "").strip().strip("\"'").lower()
    try:
        info = codecs.lookup(_SAME.get(wanted, wanted)) if wanted else None
    except (LookupError, ValueError):
        return None
    return info.name if info is not None and info._is_text_encoding else None  # noqa: SLF001
