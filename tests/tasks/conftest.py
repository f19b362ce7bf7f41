"""A connection of a scripted connector, on the real store."""

from tests.runtime.conftest import scenario

__all__ = ["scenario"]
