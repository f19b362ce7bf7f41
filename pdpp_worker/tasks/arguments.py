"""The tasks' arguments: ids and small checked values, nothing else travels through the broker."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.protocol.reasons import Reason, known_reason

Name = Annotated[str, Field(min_length=1, max_length=200)]
Id = Annotated[int, Field(gt=0, strict=True)]


class _Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RunArguments(_Arguments):
    """`pdpp.run`: collect a connection now; `full` walks everything anew."""

    connection: Name
    full: bool = False


class SliceArguments(_Arguments):
    """`pdpp.slice`: take up a run."""

    run: Id


class DispatchArguments(_Arguments):
    """`pdpp.dispatch`: notify workers of what is due; or only of runs whose worker is gone."""

    abandoned: bool = False


class RecoverBudget(Budget):
    """Seconds of work, requests and items for each connection; any other field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class RecoverArguments(_Arguments):
    """`pdpp.recover`: retry the gaps of one connection, or of all connections of a connector.

    All gaps, or only those of a stream, with a reason, or with these ids; within a budget for each connection.
    """

    connection: Name | None = None
    connector: Name | None = None
    stream: Name | None = None
    reason: Name | None = None
    ids: Annotated[list[Id], Field(min_length=1, max_length=1000)] | None = None
    budget: RecoverBudget = RecoverBudget()

    @model_validator(mode="after")
    def _one(self) -> RecoverArguments:
        if (self.connection is None) == (self.connector is None):
            raise ValueError("give either connection or connector")
        return self

    @field_validator("reason")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and known_reason(value) is None:
            raise ValueError(f"{value!r} is not a reason; known: {', '.join(one.value for one in Reason)}")
        return value


class NoArguments(_Arguments):
    """A tick takes none."""


Arguments = TypeVar("Arguments", bound=_Arguments)


def read(task: str, model: type[Arguments], kwargs: dict[str, Any]) -> Arguments:
    """Check a task's arguments.

    Raises:
        ConfigurationError: one sentence, naming the task, the argument and what is wrong with it.
    """
    try:
        return model.model_validate(kwargs)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        text = first["msg"].removeprefix("Value error, ")
        raise ConfigurationError(f"{task}: {f'{place}: ' if place else ''}{text}.") from None
