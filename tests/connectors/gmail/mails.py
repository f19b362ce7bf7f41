"""Mails to put into mailboxes."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime

DAY = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def written(
    subject: str,
    text: str = "Good morning.",
    *,
    html: str | None = None,
    files: dict[str, bytes] | None = None,
    reply_to: str | None = None,
    **headers: str,
) -> bytes:
    """A mail as a mail program writes it."""
    mail = EmailMessage()
    mail["From"] = "Ada Ex <ada@example.com>"
    mail["To"] = "owner@example.com, Bo Way <bo@example.org>"
    mail["Subject"] = subject
    mail["Date"] = format_datetime(DAY)
    mail["Message-ID"] = f"<{subject.replace(' ', '-')}@example.com>"
    if reply_to:
        mail["References"] = f"<{reply_to}@example.com>"
    for name, value in headers.items():
        mail[name.replace("_", "-")] = value
    mail.set_content(text)
    if html is not None:
        mail.add_alternative(html, subtype="html")
    for name, content in (files or {}).items():
        mail.add_attachment(content, maintype="application", subtype="octet-stream", filename=name)
    return mail.as_bytes()
