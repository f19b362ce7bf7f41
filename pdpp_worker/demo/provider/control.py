"""The levers behind the scenes; these requests are neither logged nor charged."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, TypeVar

from tornado.web import RequestHandler

from pdpp_worker.demo.provider.backend import Backend
from pdpp_worker.demo.provider.options import Change, FaultOptions, QuotaOptions

Options = TypeVar("Options", Change, FaultOptions, QuotaOptions)


class Control(RequestHandler):
    """A lever; what it is given and cannot use is answered with 422 and the reason."""

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

    def pull(self) -> object:
        """Do what this lever does and return what there is to say. Raises TypeError or ValueError."""
        raise NotImplementedError

    def post(self) -> None:
        """Pull the lever."""
        try:
            answer = self.pull()
        except (TypeError, ValueError) as error:
            self.set_status(422)
            answer = {"detail": str(error)}
        self.set_header("Content-Type", "application/json")
        self.finish(json.dumps(answer))


class Advance(Control):
    """What happens to the account between two visits."""

    def pull(self) -> object:
        """Change the account; the answer names the conversations."""
        return asdict(self.backend.advance(self.options_as(Change)))


class SetQuota(Control):
    """Another quota law, from its beginning."""

    def pull(self) -> object:
        """Replace the law."""
        self.backend.set_quota(self.options_as(QuotaOptions))
        return {}


class SetFaults(Control):
    """Other faults."""

    def pull(self) -> object:
        """Replace the fault plan."""
        self.backend.set_faults(self.options_as(FaultOptions))
        return {}


class SetToken(Control):
    """Another access token; the one before is refused from now on."""

    def pull(self) -> object:
        """Replace the token."""
        token = self.fields().get("token")
        if not isinstance(token, str) or not token:
            raise ValueError("token must be a text")
        self.backend.set_token(token)
        return {}


class Log(Control):
    """The requests so far."""

    def get(self) -> None:
        """The entries after number `since`."""
        since = int(self.get_query_argument("since", "0"))
        self.write({"entries": [asdict(entry) for entry in self.backend.journal.since(since)]})


class Figures(Control):
    """The log in figures."""

    def get(self) -> None:
        """Counts, the smallest gap, the densest minute of refusals."""
        self.write(asdict(self.backend.journal.stats()))


def routes(backend: Backend) -> list[Any]:
    """Path patterns with their levers."""
    levers: dict[str, type[Control]] = {
        "advance": Advance,
        "quota": SetQuota,
        "faults": SetFaults,
        "token": SetToken,
        "log": Log,
        "stats": Figures,
    }
    return [(rf"/_control/{name}", lever, {"backend": backend}) for name, lever in levers.items()]
