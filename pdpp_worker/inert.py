"""Text that came from others, made harmless for a terminal and for the file of a log."""

from __future__ import annotations

import re

# Control characters, ends of lines, overrides of the writing direction, halves of surrogate pairs.
_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text as one line without characters that steer a terminal or show text in another order than it has."""
    return _STEERING.sub("\ufffd", text.replace("\n", " "))


def lines(text: str) -> str:
    """The same for a text of several lines."""
    return "\n".join(map(one_line, text.split("\n")))
