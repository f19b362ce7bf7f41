"""All generated pages: path below `docs/` to a function that writes its text."""

from __future__ import annotations

from collections.abc import Callable

from docs._reference.commands import commands_page, exit_codes_page
from docs._reference.json_output import json_page
from docs._reference.licence_page import licences_page
from docs._reference.profile import manifest_page, messages_page
from docs._reference.sentences import reasons_page
from docs._reference.variables import settings_page
from docs._reference.wire import profile_manifest_page, wire_page

PAGES: dict[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/json.md": json_page,
    "reference/exit-codes.md": exit_codes_page,
    "reference/manifest.md": manifest_page,
    "reference/messages.md": messages_page,
    "reference/wire-format.md": wire_page,
    "reference/profile-manifest.md": profile_manifest_page,
    "reference/reasons.md": reasons_page,
    "reference/licences.md": licences_page,
}
