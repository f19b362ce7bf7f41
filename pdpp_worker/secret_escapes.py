"""Text as it is behind its escapes, in which a secret is looked for: per cent and backslashes.

An escape is undone wherever it stands and however it is written, so no list of forms has to foresee each mixture. Each
step takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

_STEPS = 3
"""So often may an escape be escaped again: JSON in JSON, an address in an address."""
# It begins with a set of letters, as a search for one skips the others ten times faster than a choice of beginnings.
_RUN = re.compile(
    r"[%\\](?:(?<=%)[0-9a-fA-F]{2}(?:%[0-9a-fA-F]{2})*|(?<=\\)(?:"
    r"[uU][0-9a-fA-F]{4}(?:\\[uU][0-9a-fA-F]{4})*|[xX][0-9a-fA-F]{2}(?:\\[xX][0-9a-fA-F]{2})*|[\"'/\\bfnrt]))"
)
_CUT = re.compile(r"(?:%[0-9a-fA-F]?|\\(?:[uU][0-9a-fA-F]{0,3}|[xX][0-9a-fA-F]?)?)$")
"""An escape of which the rest comes later."""
_SHORT = dict(zip("bfnrt", "\b\f\n\r\t", strict=True))
_NO_DIGIT = re.compile(r"[^0-9a-fA-F]+")


class _Placed(NamedTuple):
    """A text, and for each letter where in the first text it begins and ends; a run of escapes is one place."""

    text: str
    begins: Sequence[int]
    ends: Sequence[int]


def plain_texts(text: str) -> Iterator[str]:
    """The text with its escapes undone, then with those that come out undone too; nothing where it has none."""
    for _ in range(_STEPS):
        further = _RUN.sub(_plain, text)
        if further == text:
            return
        text = further
        yield text


def without_cut_escape(text: str) -> str:
    """The text without an escape that it ends within."""
    return _CUT.sub("", text)


def places(text: str, find: Callable[[str], Iterable[tuple[int, int]]]) -> list[tuple[int, int]]:
    """Where in the text that stands which `find` finds in it with its escapes undone; ordered, none within another."""
    placed = _Placed(text, range(len(text)), range(1, len(text) + 1))
    found: list[tuple[int, int]] = []
    for _ in range(_STEPS):
        if (further := _further(placed)).text == placed.text:
            break
        placed = further
        found += [(placed.begins[start], placed.ends[end - 1]) for start, end in find(placed.text)]
    return _joined(found)


def _further(placed: _Placed) -> _Placed:
    parts: list[str] = []
    begins: list[int] = []
    ends: list[int] = []
    done = 0
    for run in _RUN.finditer(placed.text):
        start, end = run.span()
        plain = _plain(run)
        parts += placed.text[done:start], plain
        begins += [*placed.begins[done:start], *[placed.begins[start]] * len(plain)]
        ends += [*placed.ends[done:start], *[placed.ends[end - 1]] * len(plain)]
        done = end
    rest = placed.text[done:]
    return _Placed("".join([*parts, rest]), [*begins, *placed.begins[done:]], [*ends, *placed.ends[done:]])


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _plain(run: re.Match[str]) -> str:
    """Undo a run of escapes of one kind."""
    escape = run.group()
    if escape[0] == "\\" and escape[1] not in "uUxX":
        return _SHORT.get(escape[1], escape[1])
    raw = bytes.fromhex(_NO_DIGIT.sub("", escape))
    if escape[:2] in ("\\u", "\\U"):
        return raw.decode("utf-16-be", "surrogatepass")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
