"""Endpoints: a page as HTML or JSON, a form and where it leads, and failures in one sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from pdpp_worker.errors import ConfigurationError, NotFoundError, PdppError
from pdpp_worker.logs import get_logger
from pdpp_worker.owner.audit import acting_as
from pdpp_worker.store.views.reading import take_snapshot
from pdpp_worker.web import rendering
from pdpp_worker.web.access import SESSION_S
from pdpp_worker.web.asked_texts import is_odd, refusal
from pdpp_worker.web.console import Acts, Console, Form, Page, Shows, Visit

API_VERSION = "1"
"""Version of the JSON documents; it grows when a key goes or changes its meaning."""
FOREIGN_HEADERS = {
    # Somebody else's HTML: nothing runs, nothing is loaded, and no link leads on.
    "content-security-policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
    "x-frame-options": "SAMEORIGIN",
    "x-dns-prefetch-control": "off",
}
FORM_BYTES = 1_000_000
Endpoint = Callable[[Request], Awaitable[Response]]


class _Failure(NamedTuple):
    status: int
    said: str


def showing(console: Console, show: Shows, *, as_json: bool) -> Endpoint:
    """The endpoint of a page. A form that only asks comes by POST: what somebody looks for is for no URL."""

    def answer(request: Request, asked: Mapping[str, str]) -> Response:
        try:
            page = _read(console, show, request, asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner gets a page
            return _failed(console, request, error, as_json=as_json)
        if as_json:
            return json_answer(page.document)
        if page.foreign is not None:
            return Response(page.foreign, 200, FOREIGN_HEADERS, media_type="text/html")
        return _html(console, request, page.template, {"doc": page.document, **page.shown})

    async def endpoint(request: Request) -> Response:
        fields = await read_form(request) if request.method == "POST" else {}
        if (odd := _odd(request, fields or {})) is not None:
            return _failed(console, request, odd, as_json=as_json)
        asked = {name: values[0] for name, values in (fields or {}).items()}
        return await run_in_threadpool(answer, request, asked)

    return endpoint


def acting(console: Console, act: Acts) -> Endpoint:
    """The endpoint of a form: it is refused without its token, and in a console that only reads."""

    def answer(request: Request, fields: dict[str, list[str]]) -> Response:
        token = next(iter(fields.get("token", [])), "")
        if not console.access.is_token(cookie_of(console, request), token):
            return _refused(console, request, _Failure(403, "This form is not from a page of yours; load it again."))
        if console.settings.web_read_only:
            return _refused(console, request, _Failure(403, "This console only shows; it changes nothing."))
        try:
            with acting_as("web"):
                done = act(Form(console, request.path_params, fields))
        except Exception as error:  # noqa: BLE001 - whatever it is, the owner gets a page
            return _failed(console, request, error, as_json=False)
        if isinstance(done, Page):
            return _html(console, request, done.template, {"doc": done.document, **done.shown}, done.status)
        return going_to(console, done.back, done.said)

    async def endpoint(request: Request) -> Response:
        fields = await read_form(request)
        if fields is None:
            return _refused(console, request, _Failure(413, "The form is too large."))
        if (odd := _odd(request, fields)) is not None:
            return _failed(console, request, odd, as_json=False)
        return await run_in_threadpool(answer, request, fields)

    return endpoint


def going_to(console: Console, back: str, said: str) -> Response:
    """Go to a page, which says the sentence once."""
    response = RedirectResponse(back, 303)
    if said:
        _set_cookie(response, f"{console.access.cookie}-said", console.access.seal(said), 60)
    return response


def signed_in(console: Console, cookie: str) -> Response:
    """Go home with the cookie that lets in."""
    response = RedirectResponse("/", 303)
    _set_cookie(response, console.access.cookie, cookie, SESSION_S)
    return response


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON document."""
    headers = {"pdpp-api-version": API_VERSION}
    return Response(rendering.document(value), status, headers, media_type="application/json")


def nowhere(console: Console) -> Callable[[Request, Exception], Response]:
    """The answer to a path that is none."""

    def answer(request: Request, _: Exception) -> Response:
        wants_json = request.url.path.endswith(".json")
        return _failed(console, request, NotFoundError("There is no such page."), as_json=wants_json)

    return answer


def entrance(console: Console, said: str | None, status: int = 200) -> Response:
    """The page for those who are not in."""
    values = {"said": said, "has_password": console.access.has_password}
    return Response(rendering.html("enter.html", values), status, media_type="text/html")


def cookie_of(console: Console, request: Request) -> str:
    """The cookie that let this request in."""
    return request.cookies.get(console.access.cookie, "")


async def read_form(request: Request) -> dict[str, list[str]] | None:
    """The fields of a form; None: it is too large."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > FORM_BYTES:
            return None
    return parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10_000)


def _odd(request: Request, fields: Mapping[str, list[str]]) -> PdppError | None:
    """Why a request is answered by no page: its path or what it asks for cannot be there."""
    if any(is_odd(str(value)) for value in request.path_params.values()):
        return NotFoundError("There is no such page.")
    given = ((name, text) for name, texts in fields.items() for text in texts)
    return refusal([*request.query_params.multi_items(), *given])


def _read(console: Console, show: Shows, request: Request, asked: Mapping[str, str]) -> Page:
    with console.db.begin() as connection:
        take_snapshot(connection)
        return show(Visit(console, connection, request.path_params, {**request.query_params, **asked}))


def _html(console: Console, request: Request, template: str, values: dict[str, Any], status: int = 200) -> Response:
    flash = f"{console.access.cookie}-said"
    frame = {
        "said": console.access.unseal(request.cookies.get(flash)),
        "token": console.access.token(cookie_of(console, request)),
        "read_only": console.settings.web_read_only,
        "path": request.url.path,
        "query": dict(request.query_params),
        "json_link": _json_link(request),
    }
    response = Response(rendering.html(template, {**frame, **values}), status, media_type="text/html")
    if flash in request.cookies:
        response.delete_cookie(flash)
    return response


def _json_link(request: Request) -> str:
    path = "/home" if request.url.path == "/" else request.url.path
    return f"{path}.json{f'?{request.url.query}' if request.url.query else ''}"


def _failed(console: Console, request: Request, error: Exception, *, as_json: bool) -> Response:
    failure = _failure(error)
    if as_json:
        slug = error.slug if isinstance(error, PdppError) else "error"
        return json_answer({"error": slug, "message": failure.said}, failure.status)
    return _refused(console, request, failure)


def _failure(error: Exception) -> _Failure:
    if isinstance(error, PdppError):
        status = 404 if isinstance(error, NotFoundError) else 400 if isinstance(error, ConfigurationError) else 500
        return _Failure(status, str(error))
    if isinstance(error, SQLAlchemyError):
        get_logger().warning("the database did not answer a page", error=type(error).__name__)
        return _Failure(503, "The database did not answer. See: pdpp-worker doctor")
    # The text of an unexpected error may hold what a page shows; its trace does not.
    get_logger().error("a page failed", error=type(error).__name__, where=_where(error))
    return _Failure(500, "This page failed; the log of the console says where.")


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace is not None else ""


def _refused(console: Console, request: Request, failure: _Failure) -> Response:
    return _html(console, request, "error.html", {"failure": failure.said}, failure.status)


def _set_cookie(response: Response, name: str, value: str, max_age: int) -> None:
    # Not `secure`: on loopback there is no TLS, and a browser would not send it.
    response.set_cookie(name, value, max_age=max_age, httponly=True, samesite="strict", path="/")
