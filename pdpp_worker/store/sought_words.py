"""Words of a text as the index holds them, and a search for words as PostgreSQL's `tsquery`.

A word is a run of letters and digits: whatever stands between them, as in `path/to/file.py`, `snake_case` or
`<b>bold</b>`, parts words. PostgreSQL's own parser keeps paths, hosts and addresses whole and drops tags. Text of the
scripts that put no spaces between words is found by its characters and their pairs.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise

LONGEST = 200
"""Characters of a word; a longer one is found by its beginning. PostgreSQL takes 2,046 bytes."""

_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
"""Runs of Thai, Lao, Burmese, Khmer, kana, Chinese characters and Hangul."""
_WORD = re.compile(r"[^\W_]+")
_PARTED = bytes(code if code > 127 or chr(code).isalnum() else 32 for code in range(256))
"""The bytes of UTF-8, and a space for each of those of ASCII that part words."""
_TERM = re.compile(r'(-?)(?:"([^"]*)"?|(\S+))')
"""A term of a search: perhaps excluded, a phrase in quotes or what stands between spaces."""


def words_of(text: str) -> set[str]:
    """The words of a text, in the form in which they are compared: without case, NFKC."""
    if text.isascii():
        return {word[:LONGEST] for word in _WORD.findall(text.lower())}
    text = unicodedata.normalize("NFKC", text).casefold()
    found = {word[:LONGEST] for word in _WORD.findall(_UNSPACED.sub(" ", text))}
    for run in _UNSPACED.findall(text):
        found.update(run)
        found.update(map("".join, pairwise(run)))
    return found


def first_words_of(text: str, most_bytes: int) -> str:
    """The words of a text, or of so much of its beginning that they take no more bytes, with a space between them."""
    words = _joined_words_of(text)
    while len(words) > most_bytes:
        text = text[: len(text) // 2]
        words = _joined_words_of(text)
    return words.decode()


def _joined_words_of(text: str) -> bytes:
    """The same words as `words_of`; those of ASCII, which most are, in a third of the time."""
    parted = text.encode().translate(_PARTED)
    if text.isascii():
        return b" ".join(_ascii_words_of(parted))
    pieces = set(parted.split())
    others = {piece for piece in pieces if not piece.isascii()}
    words = _ascii_words_of(b" ".join(pieces - others))
    words.update(map(str.encode, words_of(b" ".join(others).decode())))
    return b" ".join(words)


def _ascii_words_of(parted: bytes) -> set[bytes]:
    words = set(parted.lower().split())
    return {word[:LONGEST] for word in words} if max(map(len, words), default=0) > LONGEST else words


def query_of(search: str) -> str:
    """A search as people write it, as `tsquery`: words all of which are there, OR, and - for not; "": nothing is meant.

    The words of a phrase in quotes are words that are all there: the index holds no positions.
    """
    either = (" & ".join(group) for group in _groups(search) if group)
    return " | ".join(f"({group})" for group in either)


def _groups(search: str) -> Iterator[list[str]]:
    group: list[str] = []
    for excluded, phrase, word in _TERM.findall(search):
        if word == "OR" and not excluded:
            yield group
            group = []
        elif wanted := " & ".join(f"'{one}'" for one in _sought(phrase or word)):
            group.append(f"{'!' if excluded else ''}({wanted})")
    yield group


def _sought(text: str) -> list[str]:
    """The words that a record holds in which this text stands: of a longer run without spaces its pairs will do."""
    words = words_of(text)
    pairs = {word for word in words if len(word) == 2 and _UNSPACED.fullmatch(word)}
    return sorted(words - {character for pair in pairs for character in pair})
