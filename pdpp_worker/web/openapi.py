"""The OpenAPI document of the console's JSON, made from the classes that are printed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from pdpp_worker.coverage.cards import Home
from pdpp_worker.coverage.gap_groups import GapGroupRow
from pdpp_worker.coverage.item import Answer
from pdpp_worker.coverage.rate_rows import RateView
from pdpp_worker.coverage.status_rows import StatusRow
from pdpp_worker.coverage.stream import StreamCoverage
from pdpp_worker.doctor.checks import Check
from pdpp_worker.store.views.connection_views import ConnectionView
from pdpp_worker.store.views.gap_views import GapView
from pdpp_worker.store.views.rate_views import PendingPoint, RateBucket
from pdpp_worker.store.views.run_views import RunStreamView, RunView
from pdpp_worker.store.views.search_views import FoundRecord
from pdpp_worker.store.views.timeline_views import Lane
from pdpp_worker.store.views.version_views import RecordVersion
from pdpp_worker.web.entries import Entry
from pdpp_worker.web.version_changes import EarlierVersion


class Described(NamedTuple):
    """A document: what it says, the class of its keys, members beside those, and filters."""

    summary: str
    form: Any = dict[str, Any]
    more: Mapping[str, Any] = {}
    filters: tuple[str, ...] = ()


DESCRIBED: Mapping[str, Described] = {
    "/": Described("Am I missing anything? In one sentence, with what waits for you and a card a connection.", Home),
    "/status": Described("The same as `pdpp-worker status --json`.", list[StatusRow]),
    "/coverage": Described("The same as `pdpp-worker coverage --json`.", list[StreamCoverage], {}, ("connection",)),
    "/rate": Described("The same as `pdpp-worker rate --json`.", list[RateView], {}, ("connection",)),
    "/connections/{id}/rate": Described(
        "The rate of a connection and its pending work over a period: `1h`, `24h` or `30d`.",
        dict[str, Any],
        {"rate": RateView, "history": list[RateBucket], "burn_down": list[PendingPoint]},
        ("period",),
    ),
    "/connections/{id}/coverage": Described(
        "Each stream by months: `held`, `missing`, `not_walked`, `empty`, `absent` or `unknown`.", list[dict[str, Any]]
    ),
    "/doctor": Described("The same as `pdpp-worker doctor --json`.", list[Check]),
    "/connections": Described("The same as `pdpp-worker connection list --json`.", list[ConnectionView]),
    "/connections/add": Described("The same as `pdpp-worker connectors --json`.", list[dict[str, Any]]),
    "/connections/{id}": Described(
        "`pdpp-worker connection show --json`, and `card`, `needs`, `coverage`, `rate` and `next_runs`.",
        ConnectionView,
        {"coverage": list[StreamCoverage], "rate": RateView},
    ),
    "/gaps": Described(
        "`groups`; `gaps` as `pdpp-worker gaps list --json` prints them, a hundred at a time; their `titles` by id; "
        "`next_after`.",
        dict[str, Any],
        {"groups": list[GapGroupRow], "gaps": list[GapView], "titles": dict[int, str]},
        ("connection", "stream", "reason", "status", "after"),
    ),
    "/gaps/{id}": Described("The same as `pdpp-worker why GAP --json`.", Answer),
    "/runs": Described(
        "The same as `pdpp-worker runs list --json`, newest first.",
        list[RunView],
        {},
        ("connection", "status", "reason", "since", "until", "before"),
    ),
    "/runs/{id}": Described("The same as `pdpp-worker runs show --json`.", RunView, {"streams": list[RunStreamView]}),
    "/timeline": Described(
        "Slices, waits with their reasons, refusals, new versions and changes of settings along the clock: `1h`, `6h`, "
        "`24h` or `7d`.",
        dict[str, Any],
        {"lanes": list[Lane]},
        ("connection", "period"),
    ),
    "/records": Described(
        "What is held, found by its words: `hits`, `next`, and how many records wait to be searched. By POST, too.",
        dict[str, Any],
        {"hits": list[Entry]},
        ("words", "connection", "stream", "page"),
    ),
    "/connections/{id}/streams/{stream}": Described(
        "The records of a stream, the latest first, fifty at a time; `since` and `until` are days. By POST, too.",
        dict[str, Any],
        {"records": list[Entry]},
        ("page", "since", "until", "author"),
    ),
    "/connections/{id}/streams/{stream}/records/{name}": Described(
        "One record, what is read under it, and its earlier versions, the latest first; `name` is that of a list.",
        FoundRecord,
        {"versions": list[EarlierVersion]},
    ),
    "/connections/{id}/streams/{stream}/records/{name}/versions/{place}": Described(
        "An earlier version of a record, as far as it is kept.", RecordVersion
    ),
    "/connections/{id}/streams/{stream}/records/{name}/html": Described("The HTML of a record."),
    "/connections/{id}/streams/{stream}/threads/{name}": Described(
        "The records of a stream that are read together.", dict[str, Any], {"entries": list[Entry]}
    ),
}
_NUMBERS = ("id", "place")
_REFERENCE = "#/components/schemas/{model}"


def openapi(version: str, paths: Iterable[str]) -> dict[str, Any]:
    """The document about these pages; each has to be described."""
    schemas: dict[str, Any] = {}
    described = {_plain(path): DESCRIBED[_plain(path)] for path in paths}
    found = {_json_path(path): {"get": _operation(path, one, schemas)} for path, one in described.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "pdpp-worker console", "version": version},
        "paths": found,
        "components": {"schemas": schemas},
    }


def _plain(path: str) -> str:
    return re.sub(r"\{(\w+):\w+\}", r"{\1}", path)


def _json_path(path: str) -> str:
    return "/home.json" if path == "/" else f"{path}.json"


def _operation(path: str, one: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    inside = [{"name": name, "in": "path", "required": True} for name in re.findall(r"\{(\w+)\}", path)]
    filters = [{"name": name, "in": "query", "required": False} for name in one.filters]
    typed = [
        {**each, "schema": {"type": "integer" if each["name"] in _NUMBERS else "string"}} for each in inside + filters
    ]
    return {
        "summary": one.summary,
        "parameters": typed,
        "responses": {
            "200": {"description": "OK", "content": {"application/json": {"schema": _schema(one, schemas)}}},
            "401": {"description": "Nobody is signed in."},
            "404": {"description": "There is nothing of that number."},
        },
    }


def _type_of(name: object) -> str:
    return "integer" if name in _NUMBERS else "string"


def _schema(one: Described, schemas: dict[str, Any]) -> dict[str, Any]:
    own = _of(one.form, schemas)
    if not one.more:
        return own
    members = {name: _of(form, schemas) for name, form in one.more.items()}
    return {"allOf": [own, {"type": "object", "properties": members}]}


def _of(form: Any, schemas: dict[str, Any]) -> dict[str, Any]:
    made = TypeAdapter(form).json_schema(mode="serialization", ref_template=_REFERENCE)
    schemas.update(made.pop("$defs", {}))
    return made
