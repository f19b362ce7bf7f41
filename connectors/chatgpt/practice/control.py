"""The fault switches behind the scenes; these requests are neither logged nor charged."""

from __future__ import annotations

import json
from abc import abstractmethod
from dataclasses import asdict
from typing import Any, TypeVar

from tornado.web import RequestHandler

from connectors.chatgpt.practice.backend import Backend
from connectors.chatgpt.practice.options import Change, FaultOptions
from pdpp_worker.conformance.quota.options import QuotaOptions

Options = TypeVar("Options", Change, FaultOptions, QuotaOptions)


class Control(RequestHandler):
    """A control request; one that cannot be used is answered with 422 and the reason."""

    def initialize(self, backend: Backend) -> None:
        """Take the backend from the route."""
        self.backend = backend

    def fields(self) -> dict[str, Any]:
        """The JSON object of the request. Raises ValueError."""
        fields = json.loads(self.request.body)
        if not isinstance(fields, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - a wrong value from outside
        return fields

    def options_as(self, form: type[Options]) -> Options:
        """The request's object as options; what it leaves out has its default."""
        return form(**self.fields())

    @abstractmethod
    def outcome(self) -> object:
        """Do what was asked for and return what there is to say. Raises TypeError or ValueError."""

    def reply(self) -> None:
        """Answer with the outcome as JSON."""
        try:
            answer = self.outcome()
        except (KeyError, TypeError, ValueError) as error:
            self.set_status(422)
            answer = {"detail": str(error)}
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(answer))


class Advance(Control):
    """Changes the account between two visits."""

    post = Control.reply

    def outcome(self) -> object:
        """Change the account; the answer names the conversations."""
        return asdict(self.backend.advance(self.options_as(Change)))


class Shift(Control):
    """Changes the account between two pages of a list."""

    post = Control.reply

    def outcome(self) -> object:
        """Note the change; `after_pages` says when it happens."""
        fields = self.fields()
        self.backend.shift(Change(**fields["change"]), int(fields["after_pages"]))
        return {}


class Changes(Control):
    """The changes so far."""

    get = Control.reply

    def outcome(self) -> object:
        """All of them, in order: the account can be made from them again."""
        return {"changes": [asdict(change) for change in self.backend.account.changes]}


class SetQuota(Control):
    """Replace the quota by another one, from its beginning."""

    post = Control.reply

    def outcome(self) -> object:
        """Replace the quota."""
        self.backend.set_quota(self.options_as(QuotaOptions))
        return {}


class SetFaults(Control):
    """Other faults."""

    post = Control.reply

    def outcome(self) -> object:
        """Replace the fault plan."""
        self.backend.set_faults(self.options_as(FaultOptions))
        return {}


class SetToken(Control):
    """Replace the access token; the one before is refused from now on."""

    post = Control.reply

    def outcome(self) -> object:
        """Replace the token."""
        token = self.fields().get("token")
        if not isinstance(token, str) or not token:
            raise ValueError("token must be a text")
        self.backend.set_token(token)
        return {}


class Log(Control):
    """The requests so far."""

    get = Control.reply

    def outcome(self) -> object:
        """The entries after number `since`."""
        since = int(self.get_query_argument("since", "0"))
        return {"entries": [asdict(entry) for entry in self.backend.journal.since(since)]}


class Figures(Control):
    """The log in figures."""

    get = Control.reply

    def outcome(self) -> object:
        """Counts, the smallest gap, the densest minute of refusals."""
        return asdict(self.backend.journal.stats())


def routes(backend: Backend) -> list[Any]:
    """Path patterns with what they control."""
    controls: dict[str, type[Control]] = {
        "advance": Advance,
        "shift": Shift,
        "changes": Changes,
        "quota": SetQuota,
        "faults": SetFaults,
        "token": SetToken,
        "log": Log,
        "stats": Figures,
    }
    return [(rf"/_control/{name}", control, {"backend": backend}) for name, control in controls.items()]
