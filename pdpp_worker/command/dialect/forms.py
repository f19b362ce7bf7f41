"""Shared parts of the readers: lenient fields, and the refusal of a message."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
)

from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.protocol.foreign import Foreign
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import Message


class RefusedError(Exception):
    """A message is refused: for which of its members, and why. The text holds none of its content."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.field = field


@dataclass(frozen=True)
class Reply:
    """A line that goes back to the connector."""

    message: dict[str, Any]


Item = Message | Foreign | Reply


@dataclass(frozen=True)
class Facts:
    """The facts of a run that the readers need."""

    manifest: Manifest
    in_scope: frozenset[str]
    handover: Handover
    now: Callable[[], datetime]
    takes_skips: bool = False
    """Whether the owner allows details that the connector calls optional to be left out."""


class Form(BaseModel):
    """A message as connectors send it. Unknown members are ignored; a null stands for a member left out."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def _not_empty(text: str) -> str:
    # Not as a minimal length, for which pydantic refuses text that is no Unicode.
    if not text:
        raise ValueError("it is empty")
    return text


StreamName = Annotated[StrictStr, Field(min_length=1, max_length=200)]
Key = (
    Annotated[StrictStr, AfterValidator(_not_empty)]
    | StrictInt
    | Annotated[float, Field(strict=True, allow_inf_nan=False)]
)
"""A key in its own JSON type."""


def _with_zone(value: Any) -> Any:
    """A time without a zone, or a date alone, in UTC."""
    if not isinstance(value, str):
        raise ValueError("a time is text in ISO 8601")  # noqa: TRY004 - which the model tells of a value
    moment = datetime.fromisoformat(value.strip())
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Time = Annotated[datetime, BeforeValidator(_with_zone)]


AForm = TypeVar("AForm", bound=Form)


def read_form(form: type[AForm], fields: Mapping[str, Any]) -> AForm:
    """The message in its form.

    Raises:
        RefusedError: naming the member that is wrong.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return form.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = str(first["loc"][0]) if first["loc"] else "message"
        raise RefusedError(field, f"{field}: {first['msg'].removeprefix('Value error, ')}") from None


def key_text(key: str | int | float | Decimal) -> str:
    """A key as text: keys are compared as their JSON without quotes."""
    if isinstance(key, float) and key.is_integer() and abs(key) < 2**53:
        return str(int(key))
    return str(key)


def require_stream(stream: str, facts: Facts) -> None:
    """Refuse a stream that is not in scope.

    Raises:
        RefusedError: it is not.
    """
    if stream not in facts.in_scope:
        raise RefusedError("stream", f"the stream {stream[:100]!r} is outside the scope of START")
