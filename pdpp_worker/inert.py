"""Text that came from others, made harmless for a terminal and for the file of a log."""

from __future__ import annotations

import re

# Control characters, ends of lines, overrides of the writing direction, halves of surrogate pairs.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_IN_A_FILE = re.compile(f"(?!\t|\r?\n){_STEERING.pattern}")


def one_line(text: str) -> str:
    """The text as one line without characters that steer a terminal or show text in another order than it has."""
    return _STEERING.sub("\ufffd", text.replace("\n", " "))


def lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(one_line, text.split("\n")))


def escaped(text: str) -> str:
    """Text of a file for a terminal: tabs and ends of lines stay, other such characters are escaped as in JSON."""
    return _IN_A_FILE.sub(lambda match: f"\\u{ord(match.group()):04x}", text)
