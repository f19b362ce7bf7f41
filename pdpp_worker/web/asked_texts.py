"""Texts that somebody asks for, in a query or a form: too long ones, and those that nothing can hold, are refused."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pdpp_worker.errors import ConfigurationError

LONGEST = 1_000
"""Characters of a text that is looked for or parsed: a filter, words, a day, a schedule, a name."""
_KEPT = ("page", "key", "kept.", "secret.", "set.")
"""Beginnings of the names of fields that are stored, or that this console sealed; only the whole form is bounded."""
_ODD = re.compile("[\x00\ud800-\udfff]")


def refusal(fields: Iterable[tuple[str, str]]) -> ConfigurationError | None:
    """The reason why a request with these fields is not answered; None: it may be."""
    for name, text in fields:
        if is_odd(text):
            return ConfigurationError("It holds a character that nothing can hold.")
        if len(text) > LONGEST and not name.startswith(_KEPT):
            return ConfigurationError(f"A text of more than {LONGEST:,} characters is too long here.")
    return None


def is_odd(text: str) -> bool:
    """Whether a text has a character that nothing held can have."""
    return _ODD.search(text) is not None
