"""When a gap is tried again."""

from __future__ import annotations

from typing import NamedTuple


class RetryPolicy(NamedTuple):
    """Exponential backoff, in seconds, and the number of attempts after which a gap is exhausted."""

    first_s: float
    max_s: float
    max_attempts: int


def next_attempt(attempts: str) -> str:
    """The SQL expression for the time of the next attempt, after a number of attempts before the last one.

    Its parameters are the fields of a `RetryPolicy`. A tenth of jitter keeps gaps apart that were missed together.
    """
    return (
        "clock_timestamp() + interval '1 second' * least(:max_s, "
        f":first_s * (1 + random() / 10) * power(2, least({attempts}, 40)))"
    )
