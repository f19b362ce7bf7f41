"""Mails of mixed structure, the same ones each time: plain, alternative, HTML alone, with inline pictures and files."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

_WORDS = (
    *("the", "a", "of", "and", "mail", "report", "invoice", "yes", "tomorrow", "price", "offer", "thanks", "regards"),
    *("Köln", "naïve", "résumé", "東京", "meeting"),
)
_CELL = (
    '<tr><td style="padding:4px 8px;font-family:Arial,sans-serif;color:#333">{}</td><td><a href="{}">{}</a></td></tr>\n'
)
_RECEIVED = "from mx{0}.example.com (mx{0}.example.com [192.0.2.{0}]) by mail.example.org with ESMTPS id {1:x}; {2}"
_DATE = "Mon, 06 May 2024 07:08:09 +0000"
_KINDS = {"plain": 38, "alternative": 32, "html": 10, "files": 14, "related": 4, "forwarded": 2}
"""Shares of a hundred mails."""
_FILE_BYTES = (4_000, 30_000, 60_000, 150_000, 250_000, 400_000, 900_000, 4_000_000)
_FILE_WEIGHTS = (22, 24, 22, 12, 8, 6, 4, 1)


def fill(maildir: Path, count: int, uid: int, gid: int) -> int:
    """Write mails into a Maildir that belongs to the user `uid`; returns how many bytes they have."""
    for name in ("", "cur", "new", "tmp"):
        (maildir / name).mkdir(parents=True, exist_ok=True)
        os.chown(maildir / name, uid, gid)
    return sum(put(maildir, number, raw, uid, gid) for number, raw in enumerate(mails(count)))


def put(maildir: Path, number: int, raw: bytes, uid: int, gid: int) -> int:
    """Write one mail; returns how many bytes it has."""
    stem = f"{1_700_000_000 + number}.M{number}P1.bench,S={len(raw)},W={len(raw)}"
    path = maildir / "cur" / f"{stem}:2,{'S' if number % 3 else ''}"
    path.write_bytes(raw)
    os.chown(path, uid, gid)
    return len(raw)


def mails(count: int, seed: int = 7) -> Iterator[bytes]:
    """Mails as they go over the wire."""
    spread = random.Random(seed)
    kinds = spread.choices(list(_KINDS), list(_KINDS.values()), k=count)
    for number, kind in enumerate(kinds):
        yield _mail(number, kind, spread).as_bytes(policy=SMTP)


def _mail(number: int, kind: str, spread: random.Random) -> EmailMessage:
    mail = _headed(number, spread)
    if kind == "html":
        mail.set_content(_html(spread), subtype="html", cte=spread.choice(("quoted-printable", "base64")))
        return mail
    mail.set_content(_text(spread))
    if kind != "plain":
        mail.add_alternative(_html(spread), subtype="html", cte="quoted-printable")
    if kind == "related":
        picture = spread.randbytes(spread.choice((8_000, 40_000, 90_000)))
        html = mail.get_payload(1)
        html.add_related(picture, "image", "png", cid=f"<picture-{number}@example.com>")  # type: ignore[union-attr]
    if kind == "forwarded":
        mail.add_attachment(_headed(number + 1_000_000, spread, _text(spread)))
    for place in range(spread.choice((1, 1, 1, 2, 3)) if kind == "files" else 0):
        content = spread.randbytes(*spread.choices(_FILE_BYTES, _FILE_WEIGHTS))
        mail.add_attachment(content, "application", "pdf", filename=f"Rechnung {number}-{place} für Ada.pdf")
    return mail


def _headed(number: int, spread: random.Random, text: str | None = None) -> EmailMessage:
    mail = EmailMessage()
    for hop in range(4):
        mail.add_header("Received", _RECEIVED.format(hop + 1, spread.getrandbits(64), _DATE))
    mail["DKIM-Signature"] = (
        f"v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.com; s=s1; b={spread.getrandbits(1024):x}"
    )
    mail["From"] = f"Ada Lovelace {number % 50} <ada{number % 50}@example.com>"
    mail["To"] = "Owner <owner@example.org>, Bob <bob@example.net>"
    mail["Subject"] = f"Brief {number}: {' '.join(spread.choices(_WORDS, k=5))}"
    mail["Date"] = _DATE
    mail["Message-ID"] = f"<{number}.{spread.getrandbits(64):x}@example.com>"
    mail["References"] = f"<{number - number % 7}@example.com>"
    mail["List-Unsubscribe"] = f"<https://example.com/u/{number}>"
    if text is not None:
        mail.set_content(text)
    return mail


def _text(spread: random.Random) -> str:
    size = spread.choice((20, 80, 150, 300, 800))
    return "\n".join(" ".join(spread.choices(_WORDS, k=12)) for _ in range(size // 12 + 1))


def _html(spread: random.Random) -> str:
    rows = (
        _CELL.format(" ".join(spread.choices(_WORDS, k=8)), f"https://example.com/{spread.getrandbits(96):x}", "more")
        for _ in range(spread.choice((5, 20, 60, 120, 250)))
    )
    style = "<style>td{color:#123456}</style>" * 3
    return (
        f"<!DOCTYPE html><html><head><title>x</title>{style}</head><body><table>\n{''.join(rows)}</table></body></html>"
    )
