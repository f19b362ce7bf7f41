"""The tasks' arguments: ids and small checked values, nothing else travels through the broker."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from pdpp_worker.errors import ConfigurationError

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


class RecoverArguments(_Arguments):
    """`pdpp.recover`: go back for what is missing, of one connection or of all connections of a connector."""

    connection: Name | None = None
    connector: Name | None = None

    @model_validator(mode="after")
    def _one(self) -> RecoverArguments:
        if (self.connection is None) == (self.connector is None):
            raise ValueError("give either connection or connector")
        return self


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
