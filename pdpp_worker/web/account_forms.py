"""Forms of a new account: add one that works, and check what a form says before anything of it is saved."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from urllib.parse import urlencode

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import checking, connection_changes
from pdpp_worker.owner.checking import Checked, Finding
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.schedule_rules import Schedule
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place
from pdpp_worker.web.console import Done, Form, Page
from pdpp_worker.web.form_values import given, id_of, read_schedule, sealed, secret_in
from pdpp_worker.web.pages.adding import Typed, page_of

REFUSED = 400


def add(form: Form) -> Done | Page:
    """Add a connection whose account works; otherwise the form comes again with the reason, and nothing is saved."""
    manifest = registry.get(form.text("connector")).manifest
    try:
        draft, schedule = _draft(form, manifest), read_schedule(form, manifest.schedule_every_s)
        found = None if form.text("unchecked") else check(form, draft)
        if found is None or found.finding is not Finding.REFUSED:
            return _stored(form, manifest, draft, schedule, found)
    except ConfigurationError as error:
        found = Checked(Finding.REFUSED, str(error))
    return _again(form, manifest, replace(found, said=f"{found.said} Nothing was saved."), REFUSED)


def _stored(
    form: Form, manifest: Manifest, draft: ConnectionRow, schedule: Schedule | None, found: Checked | None
) -> Done:
    by_hand = not manifest.is_scheduled and not form.text("every") and not form.text("cron")
    connection_changes.add(
        form.console.db,
        draft.name,
        manifest.name,
        settings=draft.settings,
        credentials=draft.credentials,
        schedule=schedule,
        min_interval_ms=None,
        paused=by_hand,
    )
    said = [f"Added {draft.name}.", found.said if found else "", _by_hand(manifest) if by_hand else ""]
    return Done(f"/connections/{id_of(form.console, draft.name)}", " ".join(filter(None, said)))


def check_new(form: Form) -> Page:
    """Try an account that is not saved, and show the form again with what it reaches."""
    manifest = registry.get(form.text("connector")).manifest
    try:
        found = check(form, _draft(form, manifest))
    except ConfigurationError as error:
        found = Checked(Finding.REFUSED, str(error))
    return _again(form, manifest, found, 200)


def _draft(form: Form, manifest: Manifest) -> ConnectionRow:
    name = form.text("name")
    connection_changes.check_new_name(form.console.db, name)
    values = read_settings(manifest, [f"{key}={text}" for key, text in given(form, manifest).items() if text])
    required = [key for key, one in manifest.credentials.items() if one.required]
    return checking.draft(name, manifest.name, values, credentials_in(form, manifest, name, required))


def credentials_in(form: Form, manifest: Manifest, connection: str, required: Collection[str]) -> dict[str, str]:
    """The stored form of the credentials that were typed.

    Raises:
        ConfigurationError: one that is required is empty, or a reference gives nothing.
    """
    names = [name for name in manifest.credentials if name in required or secret_in(form, name)]
    return {name: sealed(form, Place(manifest.name, connection, name)) for name in names}


def kept_in(form: Form, manifest: Manifest) -> dict[str, str]:
    """Name of a credential that was typed to what the next page carries in its place: only this console can read it."""
    typed = {name: secret_in(form, name) for name in manifest.credentials}
    return {name: form.console.access.keep_secret(value) for name, value in typed.items() if value}


def check(form: Form, row: ConnectionRow) -> Checked:
    """Try an account."""
    return checking.check(form.console.settings, form.console.db, row)


def _again(form: Form, manifest: Manifest, found: Checked, status: int) -> Page:
    texts = {name: form.text(name) for name in ("name", "every", "cron", "timezone")}
    typed = Typed(**texts, settings=given(form, manifest), kept=kept_in(form, manifest), checked=found)
    link = f"/connections/add.json?{urlencode({'connector': manifest.name})}"
    page = page_of(manifest, typed)
    return replace(page, status=status, shown={**page.shown, "path": "/connections/add", "json_link": link})


def _by_hand(manifest: Manifest) -> str:
    why = "may ask for you" if manifest.asks_owner else "is to be started by hand"
    return f"It is paused, since its connector {why}; resume it, or collect it by hand."
