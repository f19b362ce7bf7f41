"""The forms in which a secret may stand in a text: as it is, and as programs encode it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

_SHORTEST_ENCODED = 8
"""Shorter secrets are only looked for as they are: their encoded pieces stand in other texts too."""
_URL_SAFE = str.maketrans("+/", "-_")


def forms_of(value: str) -> set[str]:
    """The texts to look for."""
    # A cursor is looked at as JSON, where quotes and other letters are escaped.
    forms = {value, json.dumps(value)[1:-1]}
    if len(value) < _SHORTEST_ENCODED:
        return forms
    forms |= {quote(value, safe=""), quote(value), quote_plus(value), value.upper(), value.lower()}
    forms |= {line for line in map(str.strip, value.splitlines()) if len(line) >= _SHORTEST_ENCODED}
    raw = value.encode("utf-8", "surrogatepass")
    forms |= {raw.hex(), raw.hex().upper()}
    for form in _base64(raw):
        forms |= {form, form.translate(_URL_SAFE)}
    return forms


def _base64(raw: bytes) -> Iterator[str]:
    """The letters that do not change with the bytes around the secret, at each of the three ways to be aligned."""
    for before, affected in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        yield encoded[affected : (before + len(raw)) * 8 // 6]
