"""Requests to the site: every answer is what was asked for, or an error that says what it is."""

from __future__ import annotations

import re
from datetime import date

import httpx

from connectors.usaa.documents.export import looks_like_export
from connectors.usaa.documents.reading import Read, UnreadError, read_csv
from connectors.usaa.records import FROM_EXPORT
from connectors.usaa.site import html
from connectors.usaa.site.html import Form, Node
from connectors.usaa.site.pages import NotWiredError, SiteAccount, export_link, filled, find_export
from pdpp_worker.connector import AuthExpired, ShapeError, UpstreamError

_SIGN_IN = re.compile(r"^/(my/logon|access-management)\b")
_NOTHING = re.compile(r"no transactions|nothing to export", re.IGNORECASE)
_NONE = Read((), FROM_EXPORT, None, None, None, is_affirmed=True)


class RangeRefusedError(UpstreamError):
    """The site did not give the export of a period."""


class Site:
    """The site through a client that is signed in, or is not."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def page(self, href: str) -> Node:
        """A page.

        Raises:
            ProviderError: it is not one, or the session is over.
        """
        response = self._checked(self._send("GET", href))
        page = _parsed(response)
        if html.asks_for_password(page):
            raise AuthExpired(f"{response.url.path} asks for a password: the session at the site is over")
        return page

    def document(self, href: str) -> bytes:
        """The bytes of a PDF.

        Raises:
            ProviderError: the answer is no PDF.
        """
        response = self._checked(self._send("GET", href))
        if b"%PDF-" not in response.content[:1024]:
            raise ShapeError("the link of a statement leads to no PDF")
        return response.content

    def export(self, account: SiteAccount, since: date, until: date) -> Read:
        """The export of a period of an account, both days included.

        Raises:
            NotWiredError: the account's page offers none.
            RangeRefusedError: the site does not give this period.
            ProviderError: anything else went wrong.
        """
        form = self._export_form(account)
        method = form.method.upper()
        values = filled(form, since, until)
        asked = {"params": values} if method == "GET" else {"data": values}
        response = self._send(method, form.action or account.href, **asked)
        if response.is_client_error:
            raise RangeRefusedError(f"the export was refused with {response.status_code}", status=response.status_code)
        return _read_export(self._checked(response))

    def _export_form(self, account: SiteAccount) -> Form:
        page = self.page(account.href)
        form = find_export(page)
        if form is None and (href := export_link(page)) is not None:
            form = find_export(self.page(href))
        if form is None:
            raise NotWiredError("the account's page offers no export")
        return form

    def _send(self, method: str, href: str, **asked: dict[str, str]) -> httpx.Response:
        here = httpx.URL(str(self._client.base_url))
        try:
            url = here.join(href)
        except (httpx.InvalidURL, ValueError):
            raise ShapeError("a link of a page is no address") from None
        if (url.scheme, url.host, url.port) != (here.scheme, here.host, here.port):
            raise ShapeError("a link leads away from the site")
        if "data" in asked:
            return self._client.request(method, url, data=asked["data"])
        return self._client.request(method, url, params=asked.get("params"))

    def _checked(self, response: httpx.Response) -> httpx.Response:
        leads_to = response.headers.get("location", "") if response.is_redirect else ""
        if _SIGN_IN.match(_path_of(leads_to) if leads_to else response.url.path):
            raise AuthExpired("the site asks to sign in: the session is over")
        if not response.is_success:
            label = f"{response.request.method} {response.url.path}"
            raise UpstreamError(f"{label} answered {response.status_code}", status=response.status_code)
        return response


def _path_of(address: str) -> str:
    try:
        return httpx.URL(address).path
    except (httpx.InvalidURL, ValueError):
        return ""


def _read_export(response: httpx.Response) -> Read:
    if looks_like_export(response.content):
        try:
            return read_csv(response.content)
        except UnreadError as error:
            raise ShapeError(str(error)) from None
    if "html" not in response.headers.get("content-type", ""):
        raise ShapeError("the export is no CSV of a known shape")
    page = _parsed(response)
    if _NOTHING.search(html.text_of(page)):
        return _NONE
    if html.asks_for_password(page):
        raise AuthExpired("the site asks to sign in: the session is over")
    raise RangeRefusedError("the export was answered with a page")


def _parsed(response: httpx.Response) -> Node:
    try:
        return html.parse(response.text)
    except html.UnreadablePageError as error:
        raise ShapeError(f"{response.url.path} is no page that can be read: {error}") from None
