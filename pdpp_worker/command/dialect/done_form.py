"""DONE: how the connector says that it ended."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, StrictBool, StrictStr

from pdpp_worker.command.dialect.forms import Form, RefusedError, read_form
from pdpp_worker.command.dialect.skip_form import Hint
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import STREAM_FAILED, Done, DoneError, HintAction

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")


class DoneForm(Form):
    """DONE: the last line. Standard input ends then; exit within 30 s, with 0 if it succeeded, else not with 0."""

    status: Literal["succeeded", "failed", "cancelled"] = Field(description="how it ended")
    records_emitted: int | None = Field(default=None, description="all RECORDs that were sent, deletions too")
    error: dict[str, Any] | None = Field(
        default=None, description="message, code, retryable, recovery_hint; not with succeeded"
    )


class _HintForm(Form):
    recovery_hint: HintAction | Hint


class _ErrorForm(Form):
    message: StrictStr = ""
    retryable: StrictBool | None = None


def read_done(fields: Mapping[str, Any], emitted: int, lost_lines: int) -> Done:
    """The end, with what of its error is good; `lost_lines` were no JSON objects.

    Raises:
        ProtocolViolation: it has no status, or succeeded with another count than came.
    """
    try:
        status = read_form(DoneForm, {"status": fields.get("status")}).status
    except RefusedError as error:
        raise ProtocolViolation(f"DONE: {error}") from None
    count = fields.get("records_emitted")
    is_right = isinstance(count, int) and not isinstance(count, bool) and count == emitted
    if status == "succeeded":
        if count is not None and not is_right:
            said = count if isinstance(count, int) else "no number of"
            lost = f"; lines that are no JSON object: {lost_lines}" if lost_lines else ""
            raise ProtocolViolation(f"DONE counts {said} records; {emitted} came{lost}")
        return Done(status=status)
    return Done(status=status, error=_error(fields.get("error"), status, certifies=is_right))


def _error(given: Any, status: str, *, certifies: bool) -> DoneError:
    fields = given if isinstance(given, dict) else {}
    said = {name: value for name, value in fields.items() if isinstance(value, str | bool)}
    retryable = said.get("retryable")
    code = said.get("code")
    hint, is_hint = _hint(fields)
    if (
        not isinstance(code, str)
        or not _CODE.fullmatch(code)
        or (code == STREAM_FAILED and not (certifies and is_hint))
    ):
        code = None
    message = said.get("message")
    return DoneError(
        message=message if isinstance(message, str) and message else f"the connector ended with {status}",
        retryable=retryable if isinstance(retryable, bool) else None,
        code=code,
        recovery_hint=hint,
    )


def _hint(fields: Mapping[str, Any]) -> tuple[HintAction | None, bool]:
    """The hint's action, and whether the hint is well formed; none is."""
    if fields.get("recovery_hint") is None:
        return None, True
    try:
        hint = read_form(_HintForm, fields).recovery_hint
    except RefusedError:
        return None, False
    return (hint.action if isinstance(hint, Hint) else hint), True
