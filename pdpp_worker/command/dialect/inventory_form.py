"""INVENTORY: what the source consists of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import Field

from pdpp_worker.command.dialect.forms import Facts, Form, Item, RefusedError, read_form
from pdpp_worker.protocol.messages import MOST_MEMBERS, Inventory, SourceMember
from pdpp_worker.protocol.messages.inventory import Disposition, Label

_NO_REASON = "the connector gives no reason"
_MOST = 10**15


class MemberForm(Form):
    """A member of INVENTORY. Without a known stream to go into, a collected one counts as unknown."""

    kind: Label = Field(description="list, mailbox, file, table, …")
    name: Label = Field(
        description="as it is called there, or a pattern for several of one kind; cut at 500 characters"
    )
    disposition: Any = Field(default=None, description="`collected`, `declared`, `unknown`; any other word is unknown")
    streams: Any = Field(
        default=None,
        description="where it goes, or for an unknown one may belong (none: anywhere); others than ours are dropped",
    )
    count: Any = Field(default=None, description="how many there are; one that is no count is dropped")
    bytes: Any = Field(default=None, description="their size; likewise")
    reason: Any = Field(default=None, description="why a declared one is left out")


class InventoryForm(Form):
    """INVENTORY: all members of a part of the source; replaces what was said of it. Optional; for walks only."""

    part: Label = Field(description="the part that is named whole")
    members: Annotated[list[MemberForm], Field(max_length=MOST_MEMBERS)] = Field(
        description="at most 1,000; group the unknown by a pattern"
    )


def read_inventory(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The inventory, with each member that is not clear as unknown."""
    given = fields.get("members")
    if isinstance(given, list) and any(not isinstance(one, dict) for one in given):
        raise RefusedError("members", "members: each is an object")
    form = read_form(InventoryForm, fields)
    yield Inventory(part=form.part, members=[_member(one, facts) for one in form.members])


def _member(form: MemberForm, facts: Facts) -> SourceMember:
    given = form.streams if isinstance(form.streams, list) else []
    known = [one for one in given if isinstance(one, str) and facts.manifest.stream(one)]
    disposition = _disposition(form.disposition, known)
    told = form.reason if isinstance(form.reason, str) and form.reason else None
    return SourceMember(
        kind=form.kind,
        name=form.name,
        disposition=disposition,
        streams=known,
        count=_count(form.count),
        bytes=_count(form.bytes),
        reason=told or (_NO_REASON if disposition == "declared" else None),
    )


def _disposition(word: Any, streams: Sequence[str]) -> Disposition:
    """The word itself where it is clear."""
    if word == "declared":
        return "declared"
    return "collected" if word == "collected" and streams else "unknown"


def _count(value: Any) -> int | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST
    return value if is_count else None
