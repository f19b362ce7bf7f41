"""Calls a connector, and tells the failures of its code from ours."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator
from functools import lru_cache

import httpx
from pydantic import ValidationError

from pdpp_worker.connector import Context
from pdpp_worker.errors import LeaseLostError, PacerUnavailableError, PdppError, ProviderError
from pdpp_worker.logs import get_logger
from pdpp_worker.protocol.messages import Message, Start, describe
from pdpp_worker.protocol.reasons import Reason, RecoveryKind, known_reason
from pdpp_worker.registry import Connector
from pdpp_worker.runtime.garbage import search_rarely


class ConnectorFailedError(Exception):
    """The connector's own code failed, or broke the protocol."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason

    @property
    def is_transient(self) -> bool:
        """Whether it passes with time, and nothing is wrong with the connector."""
        return self.reason.kind is RecoveryKind.RUNTIME


def call(connector: Connector, start: Start, context: Context, redact: Callable[[str], str]) -> Generator[Message]:
    """Hand START to the connector and yield what it sends.

    Raises:
        ConnectorFailedError: its code failed.
    """
    try:
        collect = connector.load()
        _search_rarely(connector.package)
        yield from collect(start, context)
    except (PacerUnavailableError, LeaseLostError):
        raise
    except ProviderError as error:
        raise ConnectorFailedError(known_reason(error.reason) or Reason.UPSTREAM_ERROR, str(error)) from error
    except PdppError as error:
        raise ConnectorFailedError(Reason.PARSE_FAILED, str(error)) from error
    except httpx.HTTPError as error:  # the client gives up on an answer, for example on endless redirects
        raise ConnectorFailedError(Reason.UPSTREAM_ERROR, type(error).__name__) from error
    except ValidationError as error:
        raise ConnectorFailedError(Reason.PARSE_FAILED, describe(error)) from error
    except Exception as error:
        get_logger().error("connector failed", run=int(start.run_id), exception=redact(traceback.format_exc()))
        raise ConnectorFailedError(Reason.PARSE_FAILED, f"{type(error).__name__} in the connector") from error


@lru_cache(maxsize=100)
def _search_rarely(_package: str) -> None:
    """Keep a package of connectors apart from what is searched for garbage, once it is loaded."""
    search_rarely()
