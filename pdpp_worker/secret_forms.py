"""The forms in which a secret may stand in a text: as it is, as programs encode it, and with breaks in between."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from pdpp_worker.secret_escapes import places, plain_texts, without_cut_escape

_SHORTEST_ENCODED = 8
"""Shorter secrets are only looked for as they are: their encoded pieces stand in other texts too."""
_URL_SAFE = str.maketrans("+/", "-_")
_BREAK = r"(?:\s|\\[nrt])*"
"""Space between the letters of a secret, also as JSON writes it: a line that is cut in two, base64 in lines of 76."""
_ESCAPED_SPACE = ("\\n", "\\r", "\\t")
_SHORTEST_PIECE = 4
_BETWEEN_HEX = b" \t\r\n:,;_-"
_IS_HEX = re.compile("(?:[0-9a-f]{2}){8,}")


class _Known(NamedTuple):
    """Forms without their breaks, and those of them that are a secret's bytes in hex."""

    letters: tuple[str, ...]
    hex: tuple[str, ...]


def forms_of(value: str) -> set[str]:
    """The texts to look for."""
    # A cursor is looked at as JSON, where quotes and other letters are escaped.
    forms = {value, json.dumps(value)[1:-1]}
    if len(value) < _SHORTEST_ENCODED:
        return forms
    forms |= {quote(value, safe=""), quote(value), quote_plus(value), value.upper(), value.lower()}
    forms.add(value.replace(" ", "+"))
    forms |= {line for line in map(str.strip, value.splitlines()) if len(line) >= _SHORTEST_ENCODED}
    raw = value.encode("utf-8", "surrogatepass")
    forms |= {raw.hex(), raw.hex().upper()}
    for form in _base64(raw):
        forms |= {form, form.translate(_URL_SAFE)}
    return forms


def masked(text: str, forms: tuple[str, ...], mask: str) -> str:
    """The text with the mask in place of each form, whole, with breaks in between or behind escapes.

    Earlier forms come first.
    """
    for form in forms:
        text = text.replace(form, mask)
    known = _known(forms)
    for pattern in _held(known, text):
        text = pattern.sub(lambda _: mask, text)
    if any(_held(known, plain) for plain in plain_texts(text)):
        for start, end in reversed(places(text, lambda plain: _spans(known, plain))):
            text = text[:start] + mask + text[end:]
    return text


def _spans(known: _Known, text: str) -> list[tuple[int, int]]:
    return [found.span() for pattern in _held(known, text) for found in pattern.finditer(text)]


def _held(known: _Known, text: str) -> list[re.Pattern[str]]:
    """The patterns of the secrets that the text holds."""
    told, digits = compact(text), _hex_digits(text)
    return [
        *(_with_breaks(letters) for letters in known.letters if letters in told),
        *(_as_hex(letters) for letters in known.hex if letters.encode() in digits),
    ]


def _hex_digits(text: str) -> bytes:
    """The text without what stands between the digits of a dump."""
    return text.encode("utf-8", "surrogatepass").lower().replace(b"0x", b"").translate(None, _BETWEEN_HEX)


@lru_cache(maxsize=64)
def _known(forms: tuple[str, ...]) -> _Known:
    letters = tuple(one for one in map(compact, forms) if len(one) >= _SHORTEST_ENCODED)
    return _Known(letters, tuple(one for one in letters if _IS_HEX.fullmatch(one)))


def ends_within(text: str, forms: tuple[str, ...]) -> bool:
    """Whether the text ends within a form, so that the rest of it may stand in the next line."""
    told = [compact(one) for one in (text, *plain_texts(without_cut_escape(text)))]
    return any(_begins_at_the_end(one, letters) for one in told for letters in _known(forms).letters)


def _begins_at_the_end(told: str, letters: str) -> bool:
    end = told[1 - len(letters) :]
    starts = (found.start() for found in re.finditer(f"(?={re.escape(letters[:_SHORTEST_PIECE])})", end))
    return any(letters.startswith(end[start:]) for start in starts)


def compact(text: str) -> str:
    """The text without its breaks."""
    for escape in _ESCAPED_SPACE:
        text = text.replace(escape, "")
    return "".join(text.split())


@lru_cache(maxsize=512)
def _as_hex(letters: str) -> re.Pattern[str]:
    pairs = (letters[at : at + 2] for at in range(0, len(letters), 2))
    return re.compile("(?:0x)?" + r"[\s:,;_-]*(?:0x)?".join(pairs), re.IGNORECASE)


@lru_cache(maxsize=512)
def _with_breaks(letters: str) -> re.Pattern[str]:
    return re.compile(_BREAK.join(map(re.escape, letters)))


def _base64(raw: bytes) -> Iterator[str]:
    """The letters that do not change with the bytes around the secret, at each of the three ways to be aligned."""
    for before, affected in ((0, 0), (1, 2), (2, 3)):
        encoded = base64.b64encode(b"\0" * before + raw).decode()
        yield encoded[affected : (before + len(raw)) * 8 // 6]
