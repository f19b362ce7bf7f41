"""The console as an application: which path leads to which page, and which form to which action."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from importlib.resources import files

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from pdpp_worker.web import account_forms, actions, answers, change_forms, downloads, file_downloads, gap_actions
from pdpp_worker.web.console import Acts, Console, Shows
from pdpp_worker.web.guard import PROXY_SECRET, Guard
from pdpp_worker.web.openapi import openapi
from pdpp_worker.web.pages import adding, connection, gaps, health, home, rates, records, runs, strips, timeline

PAGES: Mapping[str, Shows] = {
    "/": home.home,
    "/connections/add": adding.new,
    "/connections/{id:int}": connection.connection,
    "/gaps": gaps.gaps,
    "/gaps/{id:int}": gaps.gap,
    "/runs": runs.runs,
    "/runs/{id:int}": runs.run,
    "/timeline": timeline.timeline,
    "/rate": rates.rates,
    "/connections/{id:int}/rate": rates.rate,
    "/connections/{id:int}/coverage": strips.coverage,
    "/doctor": health.doctor,
    "/records": records.search,
    "/connections/{id:int}/streams/{stream}": records.stream,
    "/connections/{id:int}/streams/{stream}/records/{name}": records.record,
    "/connections/{id:int}/streams/{stream}/records/{name}/html": records.html,
    "/connections/{id:int}/streams/{stream}/records/{name}/versions/{place:int}": records.version,
    "/connections/{id:int}/streams/{stream}/threads/{name}": records.thread,
}
"""Each is there as HTML, and with `.json` as its document; `/home.json` is that of `/`."""
ASKED_BY_FORM = ("/records", "/connections/{id:int}/streams/{stream}")
"""Pages that are asked for by a form as well, so that the words and names that are looked for are in no URL."""
DOCUMENTS: Mapping[str, Shows] = {
    "/status": home.status,
    "/coverage": home.coverage,
    "/connections": home.connections,
}
"""Each is there as JSON only."""
FORMS: Mapping[str, Acts] = {
    "/connections/add": account_forms.add,
    "/connections/add/check": account_forms.check_new,
    "/connections/{id:int}/check": change_forms.check_stored,
    "/connections/{id:int}/run": actions.run,
    "/connections/{id:int}/cancel": actions.cancel,
    "/connections/{id:int}/pause": actions.pause,
    "/connections/{id:int}/resume": actions.resume,
    "/connections/{id:int}/accept-account": actions.accept_account,
    "/connections/{id:int}/settings": change_forms.change,
    "/connections/{id:int}/schedule": actions.set_schedule,
    "/connections/{id:int}/rate": actions.set_rate,
    "/connections/{id:int}/credential": change_forms.set_credential,
    "/connections/{id:int}/confirm-deletions": actions.confirm_deletions,
    "/connections/{id:int}/keep-deletions": actions.keep_deletions,
    "/connections/{id:int}/recover": gap_actions.recover,
    "/connections/{id:int}/waive": gap_actions.waive,
    "/connections/{id:int}/reopen": gap_actions.reopen,
}
_one_try = asyncio.Lock()
_WRONG_S = 1.0
"""A wrong password takes so long, and one is tried at a time: nobody guesses many."""
_STATIC = {"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"}


def make_app(console: Console) -> Starlette:
    """The application."""
    routes = [
        *(Route(json_path(path), answers.showing(console, show, as_json=True)) for path, show in DOCUMENTS.items()),
        *(
            Route(json_path(path), answers.showing(console, show, as_json=True), methods=_methods(path))
            for path, show in PAGES.items()
        ),
        *(
            Route(path, answers.showing(console, show, as_json=False), methods=_methods(path))
            for path, show in PAGES.items()
        ),
        *(Route(path, answers.acting(console, act), methods=["POST"]) for path, act in FORMS.items()),
        *_doors(console),
        downloads.route(console),
        file_downloads.route(console),
        Route("/openapi.json", lambda _: answers.json_answer(openapi(answers.API_VERSION, [*PAGES, *DOCUMENTS]))),
        Route("/static/{name}", _static),
        Route("/live", console.live.endpoint),
        Route("/health", lambda _: PlainTextResponse("ok")),
    ]
    hosts = frozenset(console.settings.web_hosts)
    # A number in a path that is too long to be read is a ValueError.
    nowhere = dict.fromkeys((404, ValueError), answers.nowhere(console))
    guard = Middleware(Guard, access=console.access, hosts=hosts)
    return Starlette(routes=routes, middleware=[guard], exception_handlers=nowhere)


def _methods(path: str) -> list[str]:
    return ["GET", "POST"] if path in ASKED_BY_FORM else ["GET"]


def json_path(path: str) -> str:
    """The path of a page's document."""
    return "/home.json" if path == "/" else f"{path}.json"


def _doors(console: Console) -> list[Route]:
    """Ways in, and the way out."""

    async def enter(request: Request) -> Response:
        if request.method == "POST":
            return await _by_password(console, request)
        if (proxied := console.access.enter_by_proxy(request.headers.get(PROXY_SECRET))) is not None:
            return answers.signed_in(console, proxied)
        key = request.query_params.get("key")
        if key is None:
            return answers.entrance(console, None)
        cookie = await run_in_threadpool(console.access.redeem, key)
        if cookie is None:
            return answers.entrance(console, "This key was used already, or is too old.", 403)
        return answers.signed_in(console, cookie)

    return [Route("/enter", enter, methods=["GET", "POST"])]


async def _by_password(console: Console, request: Request) -> Response:
    fields = await answers.read_form(request) or {}
    async with _one_try:
        cookie = console.access.enter(next(iter(fields.get("password", [])), ""))
        if cookie is None:
            await asyncio.sleep(_WRONG_S)
    if cookie is None:
        return answers.entrance(console, "That is not the password.", 403)
    return answers.signed_in(console, cookie)


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        return PlainTextResponse("There is no such file.", 404)
    content = files("pdpp_worker.web").joinpath("static", name).read_bytes()
    return Response(content, media_type=_STATIC[name])
