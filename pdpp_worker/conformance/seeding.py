"""Random values as functions of a seed and a name."""

from __future__ import annotations

import hashlib
import random
import uuid


def _digest(parts: tuple[object, ...]) -> bytes:
    return hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).digest()


def generator(*parts: object) -> random.Random:
    """A generator of its own for the thing that `parts` name."""
    return random.Random(_digest(parts))  # noqa: S311 - made-up content, nothing secret


def fraction(*parts: object) -> float:
    """A number in [0, 1) for the thing that `parts` name."""
    return int.from_bytes(_digest(parts)[:6], "big") / float(1 << 48)


def named_uuid(*parts: object) -> str:
    """A version 4 UUID for the thing that `parts` name."""
    return str(uuid.UUID(bytes=_digest(parts), version=4))


def drawn_uuid(rng: random.Random) -> str:
    """The next version 4 UUID of a generator."""
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
