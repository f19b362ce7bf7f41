"""The base of every message, and the field types that several messages share."""

from __future__ import annotations

from datetime import MAXYEAR, MINYEAR, UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from pdpp_worker.protocol.keys import ItemName, KeyText

LONGEST_NAME = 200
"""Characters."""

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
Key = ItemName | Annotated[list[KeyText], Field(min_length=1)]
Count = Annotated[int, Field(ge=0, le=10**15)]


def _in_a_year(moment: datetime) -> datetime:
    """Refuse a time that leaves the years 1 to 9999 when it is written in UTC, as databases do."""
    if moment.year in (MINYEAR, MAXYEAR):
        try:
            moment.astimezone(UTC)
        except OverflowError:
            raise ValueError("no time of the years 1 to 9999 in UTC") from None
    return moment


Moment = Annotated[AwareDatetime, AfterValidator(_in_a_year)]

HintAction = Literal[
    "retry_by_runtime",
    "retry_on_connector_upgrade",
    "refresh_credentials",
    "manual_action_required",
    "update_selector",
    "upstream_unblock",
    "not_retriable",
    "unknown",
]


class BaseMessage(BaseModel):
    """Immutable; unknown fields are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class RecoveryHint(BaseMessage):
    """The action that would fix a skip, in the profile's words."""

    action: HintAction
    retryable: StrictBool | None = None
