"""One document taken apart: what an export or statement gives, or the reason why it gives nothing.

Both sources come here with bytes, so a statement is the same whether the owner saved it or the site sent it.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from connectors.usaa.documents.export import Export, NotAnExportError, decode, read_export
from connectors.usaa.documents.identity import Posting, digest
from connectors.usaa.documents.money_files import reader_of
from connectors.usaa.documents.pdf import Document, UnreadablePdfError, read_pdf
from connectors.usaa.documents.statement import Statement, UnknownTemplateError, read_statement
from connectors.usaa.documents.templates import Kind, Template, fingerprint
from connectors.usaa.ledger import DAY, Span
from connectors.usaa.records import FROM_EXPORT, source_of
from pdpp_worker.connector import Reason


class UnreadError(Exception):
    """A document that gives nothing now; `fingerprint` names the layout where that is why."""

    def __init__(self, reason: Reason, why: str, fingerprint: str | None = None) -> None:
        super().__init__(why)
        self.reason = reason
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True)
class Read:
    """The content of a document."""

    entries: Sequence[Posting]
    source: str
    account: str | None
    """Last four digits of the account, where the document names it."""
    span: Span | None
    balance: tuple[date, int] | None
    statement: Statement | None = None
    broken: Sequence[int] = ()
    """Lines of an export that could not be read."""
    pending: int = 0
    account_kind: Kind | None = None
    """The kind of account, where the document tells it."""
    is_affirmed: bool = False
    """Whether the source itself said that there is nothing."""

    @property
    def is_card(self) -> bool:
        """Whether the document is of a credit card."""
        return self.account_kind == "credit_card"


@dataclass(slots=True)
class Paper:
    """A PDF before anybody asked which layout it has."""

    document: Document
    sha256: str
    text_sha256: str = field(init=False)

    def __post_init__(self) -> None:
        text = " ".join(unicodedata.normalize("NFC", self.document.text).split())
        self.text_sha256 = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def key(self) -> str:
        """The statement's id where no list gives one: by its text, since the bytes differ from download to download."""
        return digest("statement", self.text_sha256, self.document.pages)

    def facts(self) -> dict[str, str | int]:
        """The facts about the file itself, for its record."""
        return {
            "pdf_sha256": self.sha256,
            "pdf_text_sha256": self.text_sha256,
            "pdf_page_count": self.document.pages,
            "template_fingerprint": fingerprint(self.document.lines),
        }


def open_paper(data: bytes, sha256: str) -> Paper:
    """Take the text out of a PDF.

    Raises:
        UnreadError: it has none that can be had.
    """
    try:
        return Paper(read_pdf(data), sha256)
    except UnreadablePdfError as error:
        reason = Reason.SOURCE_PARTITION_FAILED if error.is_damaged else Reason.PARSE_FAILED
        raise UnreadError(reason, str(error)) from None


def read_paper(paper: Paper, templates: Sequence[Template]) -> Read:
    """Read a statement by the layouts known.

    Raises:
        UnreadError: none of them reads it; with the layout's fingerprint.
    """
    try:
        statement = read_statement(paper.document, templates)
    except UnknownTemplateError as error:
        mark = fingerprint(paper.document.lines)
        raise UnreadError(Reason.TEMPLATE_UNKNOWN, f"{error} (layout {mark})", mark) from None
    span = Span(statement.since, statement.closed_on + DAY, statement.opening, statement.closing)
    balance = (statement.closed_on, statement.closing)
    source = source_of(statement)
    return Read(statement.entries, source, statement.account, span, balance, statement, account_kind=statement.kind)


def read_table(data: bytes) -> Read:
    """Read an export of whatever form.

    Raises:
        UnreadError: it has a shape that is not known, or not one of its transactions can be read.
    """
    reader = reader_of(data)
    if reader is None:
        return read_csv(data)
    try:
        found = reader(decode(data))
    except NotAnExportError as error:
        raise UnreadError(Reason.SHAPE_CHANGED, f"as a file for money programs: {error}") from None
    if found.broken and not found.entries:
        raise UnreadError(Reason.SHAPE_CHANGED, f"none of its {len(found.broken)} transactions can be read")
    return Read(
        found.entries,
        FROM_EXPORT,
        found.account,
        found.span,
        found.balance,
        broken=found.broken,
        account_kind=found.account_kind,
    )


def read_csv(data: bytes) -> Read:
    """Read an export.

    Raises:
        UnreadError: it has a shape that is not known, or not one of its rows can be read.
    """
    try:
        export: Export = read_export(data)
    except NotAnExportError as error:
        raise UnreadError(Reason.SHAPE_CHANGED, f"as an export: {error}") from None
    if export.broken and not export.entries and not export.pending:
        raise UnreadError(Reason.SHAPE_CHANGED, f"none of its {len(export.broken)} rows can be read")
    return Read(
        export.entries,
        FROM_EXPORT,
        export.account,
        export.span,
        export.latest_balance,
        broken=export.broken,
        pending=len(export.pending),
    )
