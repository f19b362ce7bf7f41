"""Decodes bytes to text, whatever the sender claimed about them.

Nothing is guessed from the letters: charset-normalizer takes most short texts for another set than they are in (six of
ten samples of a few words), where Windows-1252 at least keeps every byte in its place.
"""

from __future__ import annotations

import codecs
from functools import lru_cache

_SAME = {"us-ascii": "utf-8", "ascii": "utf-8", "iso-8859-1": "cp1252", "latin-1": "cp1252", "x-unknown": "utf-8"}
"""Character sets that are as a rule meant as a wider one."""


def decoded(raw: bytes, charset: str | None) -> str:
    """Text in its declared character set; where that is missing or wrong, in UTF-8 or else in Windows-1252."""
    wanted = (charset or "").strip().strip("\"'").lower()
    name = _known(_SAME.get(wanted, wanted))
    if name == "utf-8" and wanted not in _SAME:
        return raw.decode("utf-8", "replace")
    if name not in (None, "utf-8"):
        try:
            return raw.decode(name, "replace")
        except UnicodeError:  # an encoding of names, not of texts
            pass
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        if error.reason == "unexpected end of data" and not before.isascii():
            return before.decode("utf-8")  # a piece of a text, cut within a character
        return raw.decode("cp1252", "replace")


@lru_cache(maxsize=256)
def _known(wanted: str) -> str | None:
    """The standard name of an encoding of texts; None for other names."""
    try:
        b"text".decode(wanted or "unknown", "replace")
        return codecs.lookup(wanted).name
    except (LookupError, ValueError):
        return None
