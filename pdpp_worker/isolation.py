"""One of many that fails costs itself, and not those behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from pdpp_worker.errors import PdppError
from pdpp_worker.logs import get_logger
from pdpp_worker.store.engine import why_away

Item = TypeVar("Item")
Result = TypeVar("Result")


def each(
    what: str, items: Iterable[Item], work: Callable[[Item], Result], *, name: Callable[[Item], object]
) -> list[Result]:
    """Do `work` for every item and return what it returned; a failure is logged as `what` and left out.

    A database that is out of reach is no failure of one item, and is raised. `name` is what a log may say of an item.
    """
    done: list[Result] = []
    for item in items:
        try:
            done.append(work(item))
        except Exception as error:
            if why_away(error) is not None:
                raise
            get_logger().error(what, of=name(item), error=reason(error))
    return done


def reason(error: Exception) -> str:
    """Say why something failed; of a foreign error only its kind, since its text may tell too much."""
    return str(error) if isinstance(error, PdppError) else type(error).__name__
