"""Bounds on what kombu makes of a message before the fleet sees it, in each process and for each kind of broker.

A stranger who reaches the broker may send anything. The fleet sends short messages of plain JSON: nothing else is read.
"""

from __future__ import annotations

from typing import Any, NoReturn

from kombu import compression, matcher, serialization
from kombu.transport import redis as kombu_redis
from kombu.utils import json

LONGEST_MESSAGE = 1_000_000
"""Characters. The longest that a fleet sends are answers to `celery inspect`."""


def install() -> None:
    """Let kombu unpack nothing, decode no long JSON, and match no pattern that can take time without end."""
    for content_type in compression.encoders():
        compression.register(_refuse_packed, _refuse_packed, content_type)
    serialization.register("json", json.dumps, read_json, content_type="application/json", content_encoding="utf-8")
    kombu_redis.loads = read_json  # type: ignore[attr-defined, assignment]
    if "pcre" in matcher.registry._matchers:  # noqa: SLF001 - there is no other way to ask
        matcher.unregister("pcre")


def read_json(text: str | bytes, **options: Any) -> Any:
    """Decode JSON as kombu does.

    Raises:
        ValueError: it is none, or longer than any of the fleet's.
    """
    if len(text) > LONGEST_MESSAGE:
        raise ValueError(f"a message of {len(text)} characters; the longest that is read has {LONGEST_MESSAGE}")
    return json.loads(text, **options)


def _refuse_packed(_body: object) -> NoReturn:
    raise ValueError("a message that is compressed; this fleet sends none")
