"""Answers to FETCH: the items of a message as they go over the wire."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message as Email
from functools import lru_cache
from typing import Any

from imapclient.imap_utf7 import encode as encode_utf7

from connectors.gmail.practice.account import GmailServer, Stored

_ITEM = re.compile(r"BODY\.PEEK\[[^\]]*\](?:<\d+\.\d+>)?|[A-Z0-9.-]+")


def requested(items: str) -> list[str]:
    """The items that a FETCH command names."""
    return _ITEM.findall(items)


def items_of(server: GmailServer, mail: Stored, asked: list[str]) -> Iterator[bytes]:
    """The items of a FETCH answer about one message."""
    if "UID" not in asked:
        yield f"UID {mail.uid}".encode()
    for item in asked:
        yield (
            item.replace(".PEEK", "").split("<")[0].encode() + _origin(item, server) + b" " + _value(server, mail, item)
        )


def _value(server: GmailServer, mail: Stored, item: str) -> bytes:
    plain = {
        "UID": str(mail.uid),
        "FLAGS": f"({' '.join(sorted(mail.flags))})",
        "MODSEQ": f"({mail.modseq})",
        "INTERNALDATE": f'"{mail.received:%d-%b-%Y %H:%M:%S +0000}"',
        "RFC822.SIZE": str(len(mail.raw)),
        "X-GM-MSGID": str(mail.gm),
        "X-GM-THRID": str(mail.thread),
        "X-GM-LABELS": f"({' '.join(quoted(one) for one in sorted(mail.labels))})",
    }
    if item in plain:
        return plain[item].encode()
    if item == "BODYSTRUCTURE":
        return b"((" if mail.uid in server.garbled else structure(_parsed(mail.raw))
    section, _, piece = item.removeprefix("BODY.PEEK[").partition("]")
    content = _section(mail.raw, section)[: None if section == "HEADER" else server.cut_at]
    if piece and not server.shown_whole:
        offset, length = map(int, piece[1:-1].split("."))
        content = content[offset : offset + length]
    return f"{{{server.announced.get(mail.uid, len(content))}}}\r\n".encode() + content


def structure(part: Email) -> bytes:
    """A part's BODYSTRUCTURE."""
    if part.is_multipart() and part.get_content_type() != "message/rfc822":
        children = b"".join(structure(one) for one in part.get_payload())  # type: ignore[arg-type]
        return b"(" + children + f' "{part.get_content_subtype().upper()}" ("BOUNDARY" "x") NIL NIL)'.encode()
    content = _content(part)
    kind, subtype = part.get_content_maintype().upper(), part.get_content_subtype().upper()
    parameters = _pairs(part.get_params(failobj=[])[1:])
    encoding = str(part.get("Content-Transfer-Encoding", "7BIT")).upper()
    identity = f'"{part["Content-ID"]}"' if part["Content-ID"] else "NIL"
    head = f'("{kind}" "{subtype}" {parameters} {identity} NIL "{encoding}" {len(content)}'
    lines = f" {len(content.splitlines())}" if kind == "TEXT" else ""
    given = part.get_params(failobj=[], header="content-disposition")
    disposition = f'("{given[0][0].upper()}" {_pairs(given[1:])})' if given else "NIL"
    return f"{head}{lines} NIL {disposition} NIL)".encode()


@lru_cache(maxsize=256)
def _parsed(raw: bytes) -> Email:
    return message_from_bytes(raw)


def _section(raw: bytes, section: str) -> bytes:
    if not section:
        return raw
    if section.startswith("HEADER.FIELDS"):
        names = {one.lower() for one in section.partition("(")[2].rstrip(")").split()}
        head = raw.partition(b"\r\n\r\n")[0] + b"\r\n"
        fields = re.findall(rb"(?m)^([^\s:]+):((?:.*\r\n(?:[ \t].*\r\n)*))", head)
        return b"".join(name + b":" + rest for name, rest in fields if name.decode().lower() in names) + b"\r\n"
    if section == "HEADER":
        return raw.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
    if section == "TEXT":
        return raw.partition(b"\r\n\r\n")[2]
    if section.endswith(".MIME"):
        return b"Content-Type: application/octet-stream\r\n\r\n"
    part = _parsed(raw)
    for number in map(int, section.split(".")):
        if part.is_multipart():
            part = part.get_payload()[number - 1]  # type: ignore[index, assignment]
    return _content(part)


def _content(part: Email) -> bytes:
    payload: Any = part.get_payload()
    if isinstance(payload, list):
        return bytes(payload[0]) if payload else b""
    return str(payload).encode("utf-8", "surrogateescape")


def _pairs(pairs: list[tuple[str, str]]) -> str:
    if not pairs:
        return "NIL"
    return "(" + " ".join(f'"{name.upper()}" {quoted(str(value))}' for name, value in pairs) + ")"


def quoted(text: str) -> str:
    """A text as a quoted string in modified UTF-7."""
    wire: str = encode_utf7(text).decode()
    return '"' + wire.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _origin(item: str, server: GmailServer) -> bytes:
    found = re.search(r"<(\d+)\.\d+>", item)
    return f"<{found.group(1)}>".encode() if found and not server.shown_whole else b""
