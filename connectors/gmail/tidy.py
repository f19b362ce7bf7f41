"""Mails that are built by the rules, so that no text can stand outside of their parts.

The standard library's parser finds such texts; it takes longer than all the rest of reading a mail. For nearly every
mail a look at its boundaries shows that there are none. Where anything is unusual, the parser has the word.
"""

from __future__ import annotations

import re

from connectors.gmail.local.mime import Section, delimiters, parsed

_HEAD = re.compile(rb"(?:[!-9;-~]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*\r\n")
"""Fields and the empty line, nothing else."""
_BOUNDARY = re.compile(rb"[0-9A-Za-z'+_,./:=?-]{1,70}")
_MANY = b"multipart/"


def is_tidy(mail: bytes) -> bool:
    """Whether a mail surely has no text outside of its parts; lines end with CRLF."""
    count = mail.count(b"\n")
    return mail.count(b"\r\n") == count == mail.count(b"\r") and _is_tidy(parsed(mail))


def _is_tidy(section: Section) -> bool:
    if not _HEAD.fullmatch(section.head):
        return False
    told = section.fields.get(b"content-type", b"").lower()
    if not told.startswith(_MANY):
        return not section.type.startswith(_MANY)
    if not section.type.startswith(_MANY) or not _is_plain(section, told):
        return False
    found = list(delimiters(section.body, section.boundary))
    begins, ends = [one for one in found if not one[2]], [one for one in found if one[2]]
    if len(ends) != 1 or not begins or found[0][0] != 0 or found[-1] != ends[0]:
        return False
    return not section.body[ends[0][1] :].strip() and all(map(_is_tidy, section.children))


def _is_plain(section: Section, told: bytes) -> bool:
    """Whether there is one boundary, and every program reads the same one."""
    names = section.parameters[::2]
    is_one = names.count(b"boundary") == 1 and not any(b"*" in name for name in names)
    return is_one and b"(" not in told and b"\\" not in told and _BOUNDARY.fullmatch(section.boundary) is not None
