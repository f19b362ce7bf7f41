"""Compiles JSON Schemas that strangers wrote: nothing is fetched, from network or disk."""

from __future__ import annotations

from typing import Any

import jsonschema_rs


def validator_for(schema: dict[str, Any]) -> jsonschema_rs.Validator:
    """A validator of the draft that the schema names.

    Raises:
        ValueError: it is no JSON Schema, or refers to a document that it does not hold.
    """
    return jsonschema_rs.validator_for(schema, offline=True)
