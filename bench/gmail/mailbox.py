"""A mailbox of a wanted size, written straight into a Maildir."""

from __future__ import annotations

import os
import random
from pathlib import Path

WORDS = [word * repeat for word in ("mail", "report", "Köln", "invoice", "yes", "tomorrow") for repeat in (1, 2)]
SMALL, LARGE, HUGE = 3_000, 120_000, 9_000_000
"""Bytes of content: of most mails, of every tenth, and of an attachment in every five-hundredth."""


def fill(maildir: Path, total: int, uid: int, gid: int) -> int:
    """Write about `total` bytes of mails; returns how many mails they are."""
    spread = random.Random(7)
    place = maildir / "cur"
    for directory in (maildir, place, maildir / "new", maildir / "tmp"):
        directory.mkdir(parents=True, exist_ok=True)
        os.chown(directory, uid, gid)
    written = count = 0
    while written < total:
        count += 1
        raw = _mail(count, spread)
        path = place / f"{1_700_000_000 + count}.M{count}P1.bench,S={len(raw)}:2,{'S' if count % 3 else ''}"
        path.write_bytes(raw)
        os.chown(path, uid, gid)
        written += len(raw)
    return count


def _mail(number: int, spread: random.Random) -> bytes:
    size = HUGE if number % 500 == 0 else LARGE if number % 10 == 0 else SMALL
    head = (
        f"From: Ada <ada{number % 50}@example.com>\nTo: owner@example.com\nSubject: mail {number}\n"
        f"Message-ID: <{number}@bench.example>\nReferences: <{number - number % 7}@bench.example>\n"
        "Date: Mon, 06 May 2024 07:08:09 +0000\nMIME-Version: 1.0\n"
    )
    text = " ".join(spread.choices(WORDS, k=min(size, 20_000) // 8))
    plain = "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
    if size < HUGE:
        body = f"{head}{plain}\n{text * max(1, size // max(1, len(text)))}\n"
        return body.encode()
    blob = _base64(size, spread)
    attached = 'Content-Type: application/pdf; name="a.pdf"\nContent-Transfer-Encoding: base64\n'
    disposition = 'Content-Disposition: attachment; filename="a.pdf"\n'
    kind = 'Content-Type: multipart/mixed; boundary="cut"\n'
    body = f"{head}{kind}\n--cut\n{plain}\n{text}\n--cut\n{attached}{disposition}\n"
    return body.encode() + blob + b"\n--cut--\n"


def _base64(size: int, spread: random.Random) -> bytes:
    line = spread.randbytes(57).hex().encode()[:76]
    return b"\n".join([line] * (size // 77))
