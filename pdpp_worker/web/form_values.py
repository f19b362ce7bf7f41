"""Values in forms: the connection that one is about, its settings, schedule and credentials."""

from __future__ import annotations

from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import lookup, schedule_rules
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.schedule_rules import Schedule, Written
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.web.console import Console, Form


def row_of(form: Form) -> ConnectionRow:
    """The connection of the form's path.

    Raises:
        NotFoundError: it is not there any more.
    """
    with form.console.db.begin() as connection:
        found = [row for row in lookup.list_all(connection) if row.id == form.id]
    if not found:
        raise NotFoundError(f"There is no connection with the number {form.id}.")
    return found[0]


def id_of(console: Console, name: str) -> int:
    """The number of the connection of that name."""
    with console.db.begin() as connection:
        return lookup.find(connection, name).id


def given(form: Form, manifest: Manifest) -> dict[str, str]:
    """The settings in a form, as they were typed."""
    return {name: form.text(f"set.{name}") for name in manifest.settings if f"set.{name}" in form.fields}


def written_schedule(form: Form) -> Written:
    """The schedule in a form, as it was typed."""
    return Written(form.text("every"), form.text("cron"), form.text("timezone"))


def read_schedule(form: Form, default_s: float | None) -> Schedule | None:
    """The schedule in a form, else an interval of `default_s`, else None.

    Raises:
        ConfigurationError: it is none.
    """
    typed = written_schedule(form)
    return schedule_rules.read(typed.every, typed.cron, typed.timezone, default_s)


def sealed(form: Form, place: Place) -> str:
    """The stored form of a credential that was typed, or that the page kept from the form before.

    Raises:
        ConfigurationError: it is empty, or a reference that gives nothing.
    """
    value = secret_in(form, place.name)
    if not value:
        raise ConfigurationError(f"The credential {place.name} is needed, and nothing was given.")
    vault = Vault(form.console.settings)
    stored = vault.seal(value, place)
    vault.open(place, stored)
    return stored


def secret_in(form: Form, name: str) -> str:
    """A credential that was typed, else the one that the page kept from the form before, else an empty text."""
    return form.text(f"secret.{name}") or form.console.access.kept_secret(form.text(f"kept.{name}")) or ""
