"""Forms of a stored account: what works is replaced by what works, or on the owner's word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace

from pdpp_worker import registry
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import checking, connection_changes
from pdpp_worker.owner.checking import Checked, Finding
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place
from pdpp_worker.web.account_forms import REFUSED, check, credentials_in, kept_in
from pdpp_worker.web.console import Done, Form, Page
from pdpp_worker.web.form_values import given, row_of, sealed
from pdpp_worker.web.pages.connection import Field, fields, text_of


def check_stored(form: Form) -> Page:
    """Try a connection with the settings or the credential of the form, or as it is; nothing of it is saved."""
    row, manifest = _of(form)
    return _shown(form, row, manifest, _tried(form, row, manifest), 200)


def change(form: Form) -> Done | Page:
    """Change the settings that differ from what is stored, if the account works with them."""
    row, manifest = _of(form)
    held = {name: text_of(value) for name, value in row.settings.items()}
    changed = [f"{name}={text}" for name, text in given(form, manifest).items() if text != held.get(name, "")]
    if not changed:
        return Done(f"/connections/{row.id}", "Nothing was changed.")
    said = f"Changed {', '.join(one.partition('=')[0] for one in changed)}; the next run works with it."
    return _replaced(form, said, lambda: connection_changes.change(form.console.db, row.name, changed, None))


def set_credential(form: Form) -> Done | Page:
    """Replace one credential, if the account works with the new one."""
    (row, manifest), name = _of(form), form.text("credential")
    if name not in manifest.credentials:
        raise ConfigurationError(f"{manifest.name} has no such credential.")
    stored = {name: sealed(form, Place(row.connector, row.name, name))}
    said = f"Replaced {name} of {row.name}; gaps that waited for it are due now."
    return _replaced(form, said, lambda: connection_changes.set_credentials(form.console.db, row, stored))


def _replaced(form: Form, said: str, save: Callable[[], None]) -> Done | Page:
    """Save what works, or what the owner wants all the same; else show the form again with the reason."""
    row, manifest = _of(form)
    found = None if form.text("unchecked") else _tried(form, row, manifest)
    if found is not None and found.finding is Finding.REFUSED:
        return _shown(form, row, manifest, replace(found, said=f"{found.said} Nothing was saved."), REFUSED)
    save()
    return Done(f"/connections/{row.id}", " ".join([said, *([found.said] if found else [])]))


def _of(form: Form) -> tuple[ConnectionRow, Manifest]:
    row = row_of(form)
    return row, registry.get(row.connector).manifest


def _tried(form: Form, row: ConnectionRow, manifest: Manifest) -> Checked:
    typed = [f"{name}={text}" for name, text in given(form, manifest).items()]
    try:
        values = read_settings(manifest, typed, row.settings)
        return check(form, checking.changed(row, values, credentials_in(form, manifest, row.name, ())))
    except ConfigurationError as error:
        return Checked(Finding.REFUSED, str(error))


def _shown(form: Form, row: ConnectionRow, manifest: Manifest, found: Checked, status: int) -> Page:
    """The outcome of a check with the form that it was about."""
    typed, named = given(form, manifest), form.text("credential")
    shown = {
        "row": row,
        "checked": found,
        "fields": [_typed(one, typed) for one in fields(manifest, row.settings)] if not named else [],
        "credentials": {name: one for name, one in manifest.credentials.items() if name == named},
        "kept": kept_in(form, manifest),
        "path": f"/connections/{row.id}",
        "json_link": f"/connections/{row.id}.json",
    }
    return Page("checked.html", asdict(found), shown, status=status)


def _typed(one: Field, typed: Mapping[str, str]) -> Field:
    return one._replace(text=typed.get(one.name, one.text))
