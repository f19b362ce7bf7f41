"""Reads messages to the owner: progress, questions, and requests to act."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, StrictStr

from pdpp_worker.command.dialect.forms import Facts, Form, Item, RefusedError, Reply, StreamName, read_form
from pdpp_worker.command.dialect.outgoing import answer_line
from pdpp_worker.protocol.foreign import Assistance, AssistanceEnded
from pdpp_worker.protocol.messages import Interaction, InteractionResponse, Progress

LONGEST_S = 24 * 3600.0


class ProgressForm(Form):
    """PROGRESS: for display; a sign of life."""

    message: StrictStr = Field(description="a sentence")
    stream: StreamName | None = Field(default=None, description="in scope")
    count: float | None = Field(default=None, description="how many items were considered")
    total: float | None = Field(default=None, description="of how many")


class InteractionForm(Form):
    """INTERACTION: a question to the owner; the connector waits for INTERACTION_RESPONSE."""

    request_id: Annotated[StrictStr, Field(min_length=1)] = Field(description="comes back with the answer")
    kind: Literal["credentials", "otp", "manual_action"] = Field(description="what is asked for")
    message: StrictStr = Field(description="a sentence for the owner")
    schema_: dict[str, Any] | None = Field(
        default=None, alias="schema", description="a JSON Schema of the answer's data"
    )
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = Field(
        default=None, description="how long it waits"
    )
    stream: StreamName | None = Field(default=None, description="what it is for")


class AssistanceForm(Form):
    """ASSISTANCE: the owner is asked to act; shown, never answered. The silence limit grows to timeout_seconds."""

    message: StrictStr = Field(description="a sentence for the owner")
    progress_posture: Literal["running", "blocked", "waiting_retry"] = Field(description="what the connector does")
    owner_action: Literal["none", "act_elsewhere", "provide_value", "operate_attachment"] = Field(
        description="what the owner is to do"
    )
    response_contract: Literal["none"] = Field(description="always none")
    assistance_request_id: StrictStr | None = Field(default=None, description="names it in ASSISTANCE_STATUS")
    sensitivity: Literal["none", "secret", "non_secret"] | None = Field(
        default=None, description="of what is asked for"
    )
    timeout_seconds: Annotated[float, Field(gt=0)] | None = Field(default=None, description="how long it waits")
    stream: StreamName | None = Field(default=None, description="what it is for")


class AssistanceStatusForm(Form):
    """ASSISTANCE_STATUS: closes a request; open ones end with the run."""

    assistance_request_id: StrictStr = Field(description="that of the request")
    status: Literal["resolved", "cancelled", "timed_out", "escalated"] = Field(description="how it ended")
    message: StrictStr = Field(default="", description="a sentence for the owner")


def read_progress(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The good parts of it."""
    stream = fields.get("stream")
    yield Progress(
        message=_text(fields.get("message")),
        stream=stream if isinstance(stream, str) and stream in facts.in_scope else None,
        count=_count(fields.get("count")),
        total=_count(fields.get("total")),
    )


def read_interaction(fields: Mapping[str, Any], _: Facts) -> Iterator[Item]:
    """A question. One that is refused is answered too, for the connector waits for it."""
    try:
        form = read_form(InteractionForm, fields)
    except RefusedError:
        if isinstance(request := fields.get("request_id"), str) and request:
            yield Reply(answer_line(InteractionResponse(request_id=request, status="cancelled")))
        raise
    yield Interaction(
        request_id=form.request_id,
        kind=form.kind,
        message=form.message,
        schema=form.schema_,
        timeout_seconds=form.timeout_seconds,
    )


def read_assistance(fields: Mapping[str, Any], facts: Facts) -> Iterator[Item]:
    """The good parts of it."""
    stream, wait_s = fields.get("stream"), fields.get("timeout_seconds")
    is_wait = isinstance(wait_s, int | float) and not isinstance(wait_s, bool) and wait_s > 0
    yield Assistance(
        request_id=_text(fields.get("assistance_request_id")),
        message=_text(fields.get("message")),
        owner_action=_text(fields.get("owner_action")) or "none",
        progress_posture=_text(fields.get("progress_posture")) or "running",
        stream=stream if isinstance(stream, str) and stream in facts.in_scope else None,
        timeout_s=min(float(wait_s), LONGEST_S) if is_wait and wait_s is not None else None,
    )


def read_assistance_status(fields: Mapping[str, Any], _: Facts) -> Iterator[Item]:
    """The end of a request."""
    form = read_form(AssistanceStatusForm, fields)
    yield AssistanceEnded(request_id=form.assistance_request_id, status=form.status, message=form.message)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    """A count without its fraction; None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 10**15:
        return None
    return int(value)
