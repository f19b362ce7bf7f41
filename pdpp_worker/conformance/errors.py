"""Endings of a check that does not pass."""

from __future__ import annotations


class Defect(Exception):  # noqa: N818 - what it is, not how Python calls it
    """The connector breaks a rule; the text is one sentence for its author."""


class NotChecked(Exception):  # noqa: N818 - likewise
    """The check could not be run; the text says what it needs. It says nothing about the connector."""
