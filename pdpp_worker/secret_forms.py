"""The forms in which a secret may stand in a text: as it is, as programs encode it, and with breaks in between."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from urllib.parse import quote, quote_plus

_SHORTEST_ENCODED = 8
"""Shorter secrets are only looked for as they are: their encoded pieces stand in other texts too."""
_URL_SAFE = str.maketrans("+/", "-_")
_BREAK = r"(?:\s|\\[nrt])*"
"""Space between the letters of a secret, also as JSON writes it: a line that is cut in two, base64 in lines of 76."""
_SPACE = re.compile(r"\s+|\\[nrt]")
_SHORTEST_PIECE = 4


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


def masked(text: str, forms: Sequence[str], mask: str) -> str:
    """The text with the mask in place of each form, whole or with breaks in between; earlier forms come first."""
    for form in forms:
        text = text.replace(form, mask)
    told = compact(text)
    for letters in map(compact, forms):
        if len(letters) >= _SHORTEST_ENCODED and letters in told:
            text = _with_breaks(letters).sub(lambda _: mask, text)
    return text


def ends_within(text: str, forms: Iterable[str]) -> bool:
    """Whether the text ends within a form, so that the rest of it may stand in the next line."""
    told = compact(text)
    return any(_begins_at_the_end(told, letters) for letters in map(compact, forms))


def _begins_at_the_end(told: str, letters: str) -> bool:
    if len(letters) < _SHORTEST_ENCODED:
        return False
    end = told[1 - len(letters) :]
    starts = (found.start() for found in re.finditer(f"(?={re.escape(letters[:_SHORTEST_PIECE])})", end))
    return any(letters.startswith(end[start:]) for start in starts)


def compact(text: str) -> str:
    """The text without its breaks."""
    return _SPACE.sub("", text)


@lru_cache(maxsize=512)
def _with_breaks(letters: str) -> re.Pattern[str]:
    return re.compile(_BREAK.join(map(re.escape, letters)))


def _base64(raw: bytes) -> Iterator[str]:
    """The letters that do not change with the bytes around the secret, at each of the three ways to be aligned."""
    for before, affected in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        yield encoded[affected : (before + len(raw)) * 8 // 6]
