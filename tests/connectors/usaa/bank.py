"""A practice site: a dashboard, exports that give less than they are asked for, statements, messages, a card."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.connectors.usaa.papers import export, line

CHECKING_ID = "acc-1"


@dataclass
class Bank:
    """The site's content and behaviour. Rows are (day, text, amount) of the checking account."""

    rows: list[tuple[date, str, str]] = field(default_factory=list)
    first_day: date = date.min
    """A period that begins earlier is refused, or cut short without a word."""
    cuts_silently: bool = False
    says_nothing: bool = True
    """An empty period is told in words, and not by an empty export."""
    refusal: int = 400
    statements: dict[str, bytes] = field(default_factory=dict)
    """Title to PDF."""
    signed_in: bool = True
    pages: dict[str, str] = field(default_factory=dict)
    """Pages to answer instead of the real ones."""
    asked: list[tuple[date, date]] = field(default_factory=list)
    """Every period that was asked for."""
    paths: list[str] = field(default_factory=list)
    url: str = ""

    def fill(self, since: date, until: date, every: int = 10) -> None:
        """A transaction every so many days."""
        days = (until - since).days
        self.rows = [(since + timedelta(days=at), f"STORE {at}", "-1.00") for at in range(0, days, every)]

    def days(self) -> list[str]:
        """The days on which there are rows."""
        return sorted({day.isoformat() for day, _, _ in self.rows})

    def answer(self, path: str, form: dict[str, str]) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if path in self.pages:
            return 200, "text/html", self.pages[path].encode()
        if path == "/my/checking/export":
            return self._export(_day(form["fromDate"]), _day(form["endDate"]))
        if path.startswith("/docs/"):
            return 200, "application/pdf", self.statements[path.removeprefix("/docs/").removesuffix(".pdf")]
        page = {
            "/my/logon": _LOGON,
            "/my/usaa": _DASHBOARD,
            "/my/checking": _CHECKING,
            "/my/credit-card": _CARD,
            "/my/inbox": _INBOX,
        }
        if path == "/my/documents":
            return 200, "text/html", self._documents().encode()
        return (200, "text/html", page[path].encode()) if path in page else (404, "text/html", b"nothing here")

    def _export(self, since: date, until: date) -> tuple[int, str, bytes]:
        self.asked.append((since, until))
        if since < self.first_day and not self.cuts_silently:
            return self.refusal, "text/html", b"<p>Choose a later start date.</p>"
        since = max(since, self.first_day)
        rows = [line(f"{day:%m/%d/%Y}", text, amount) for day, text, amount in self.rows if since <= day <= until]
        if not rows and self.says_nothing:
            return 200, "text/html", b"<p>There are no transactions in this period.</p>"
        return 200, "text/csv", export(*rows[::-1])

    def _documents(self) -> str:
        rows = "".join(
            f"<tr><td>{title}</td><td>02/03/2026</td><td>CHECKING *1234</td>"
            f'<td><a href="/docs/{title}.pdf">Download</a></td></tr>'
            for title in self.statements
        )
        head = "<tr><th>Title</th><th>Date Delivered</th><th>Account</th><th>Options</th></tr>"
        return (
            f"<html><table>{head}{rows}<tr><td>Terms of a card</td><td>01/01/2026</td><td></td><td></td></tr></table>"
        )


@contextmanager
def open_bank(bank: Bank) -> Iterator[Bank]:
    """Serve the site on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._serve({name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            self._serve({name: values[0] for name, values in parse_qs(body).items()})

        def _serve(self, form: dict[str, str]) -> None:
            path = unquote(urlsplit(self.path).path)
            bank.paths.append(path)
            if not bank.signed_in and path != "/my/logon":
                self.send_response(302)
                self.send_header("location", "/my/logon")
                self.end_headers()
                return
            status, kind, body = bank.answer(path, form)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """No access log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    bank.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield bank
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _day(text: str) -> date:
    return datetime.strptime(text, "%m/%d/%Y").date()  # noqa: DTZ007 - a day has no zone


_LOGON = '<html><form><input name="id"><input type="password" name="pin"></form></html>'
_DASHBOARD = f"""
<html><body><a href="/my/checking?accountId={CHECKING_ID}"><b>Classic Checking</b> <i>*1234</i> $1,234.56</a>
<a href="/my/credit-card?acctId=card-1">Rewards Visa *9876 $25.00</a>
<a href="/my/external-account?accountId=x">Elsewhere *5555 $1.00</a></body></html>
"""
_CHECKING = """
<html><form action="/my/checking/export" method="post"><input type="hidden" name="token" value="t">
<select name="selectionType"><option value="all">All</option><option value="date-range">Range</option></select>
<input name="fromDate"><input name="endDate"><button>Export</button></form></html>
"""
_CARD = """
<html><dl><dt>Account Nickname</dt><dd>Rewards</dd><dt>Credit Limit</dt><dd>$5,000.00</dd><dt>Annual Percent Rate</dt>
<dd>19.9%</dd><dt>Current Balance</dt><dd>$25.00</dd><dt>Available Credit:</dt><dd>$4,975.00</dd></dl></html>
"""
_INBOX = """
<html><table><tr><th>Status</th><th>Date</th><th>Message</th></tr>
<tr><td>Unread</td><td>Feb 17</td><td>Your statement is ready</td></tr>
<tr><td>Read</td><td>Dec 24</td><td>Happy holidays</td></tr></table></html>
"""
