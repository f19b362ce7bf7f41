"""DETAIL_COVERAGE: which details a list required, and what became of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from pdpp_worker.command.dialect.forms import (
    Facts,
    Form,
    Item,
    Key,
    RefusedError,
    StreamName,
    key_text,
    read_form,
    require_stream,
)
from pdpp_worker.protocol.foreign import Totals
from pdpp_worker.protocol.keys import canonical_key
from pdpp_worker.protocol.messages import DetailCoverage


class CoverageForm(Form):
    """DETAIL_COVERAGE: holds back the cursor of `state_stream` while a required detail is neither read nor a gap."""

    reference_only: Literal[True] = Field(description="always true")
    stream: StreamName = Field(description="in scope: the details")
    state_stream: StreamName = Field(description="in scope: the list; its own name for a flat stream")
    required_keys: list[Key] = Field(description="what the list promised; compared as text, none twice")
    hydrated_keys: list[Key] = Field(description="of these, what was read")
    gap_keys: list[Key] = Field(default=[], description="of these, what has a DETAIL_GAP")
    optional_skip_keys: list[Key] = Field(
        default=[], description="of these, what was left; counts if the owner allows it"
    )
    considered: Any = Field(default=None, description="a total: items that were met; one that is no count is dropped")
    covered: Any = Field(default=None, description="of those, what is held or unchanged; the rest is a miss")


def read_coverage(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The account, with keys as text, and its totals."""
    form = read_form(CoverageForm, fields)
    require_stream(form.stream, facts)
    if form.state_stream not in facts.in_scope:
        raise RefusedError("state_stream", "state_stream: it is outside the scope of START")
    required = _keys("required_keys", form.required_keys)
    known: set[str] = set()
    outcomes: dict[str, list[str]] = {}
    for name in ("hydrated_keys", "gap_keys", "optional_skip_keys"):
        outcomes[name] = _keys(name, getattr(form, name))
        if not set(outcomes[name]) <= set(required):
            raise RefusedError(name, f"{name}: it holds a key that required_keys does not")
        if known & set(outcomes[name]):
            raise RefusedError(name, f"{name}: it holds a key of another outcome")
        known |= set(outcomes[name])
    left = set(outcomes["optional_skip_keys"]) if facts.takes_skips else set()
    yield DetailCoverage(
        stream=form.stream,
        state_stream=form.state_stream,
        required_keys=[key for key in required if key not in left],
        hydrated_keys=outcomes["hydrated_keys"],
        gap_keys=outcomes["gap_keys"],
    )
    if _is_count(form.considered) and _is_count(form.covered):
        yield Totals(stream=form.stream, considered=form.considered, covered=form.covered)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _keys(field: str, keys: list[Any]) -> list[str]:
    texts = [canonical_key(key_text(key)) for key in keys]
    if len(set(texts)) != len(texts):
        raise RefusedError(field, f"{field}: it holds a key twice")
    return texts
