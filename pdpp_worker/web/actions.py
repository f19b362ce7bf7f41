"""Forms about a connection and its runs: each calls the owner's service, and says what happened."""

from __future__ import annotations

from pdpp_worker import registry
from pdpp_worker.coverage.times import parse_duration
from pdpp_worker.errors import ConfigurationError, NotFoundError
from pdpp_worker.owner import connection_changes, deletions, lookup, manual_runs, schedule_rules
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.manual_runs import DueRun
from pdpp_worker.owner.schedule_rules import Schedule
from pdpp_worker.owner.setting_values import read_settings
from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.secrets import Place, Vault
from pdpp_worker.settings import positive_ms
from pdpp_worker.web.console import Console, Done, Form
from pdpp_worker.web.pages.connection import text_of


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


def run(form: Form) -> Done:
    """Collect now."""
    row, full = row_of(form), bool(form.text("full"))
    queued, created = manual_runs.request(form.console.db, row.name, full=full)
    said = f"Run {queued.run_id} of {row.name} is {'queued' if created else 'active already'}."
    return Done(f"/runs/{queued.run_id}", said + notify([queued]))


def cancel(form: Form) -> Done:
    """Ask the active run to stop."""
    row = row_of(form)
    asked = manual_runs.cancel(form.console.db, row.name)
    if asked is None:
        return Done(_page(form), f"{row.name} has no active run.")
    said = f"Run {asked.run_id} of {row.name} is asked to stop; what it has taken stays."
    return Done(f"/runs/{asked.run_id}", said + notify([asked]))


def pause(form: Form) -> Done:
    """Stop scheduled runs."""
    row = row_of(form)
    connection_changes.pause(form.console.db, row.name, True)
    return Done(_page(form), f"{row.name} is paused; an active run goes on.")


def resume(form: Form) -> Done:
    """Let scheduled runs start again."""
    row = row_of(form)
    connection_changes.pause(form.console.db, row.name, False)
    return Done(_page(form), f"{row.name} is collected on schedule again.")


def accept_account(form: Form) -> Done:
    """Take the other account that was met for the connection's own."""
    row = row_of(form)
    account = connection_changes.accept_account(form.console.db, row.name)
    return Done(_page(form), f"{row.name} reads {account} from now on; what waited for your word is due now.")


def confirm_deletions(form: Form) -> Done:
    """Delete what waits for the owner's word."""
    count = deletions.confirm(form.console.db, row_of(form).name, form.text("stream") or None)
    return Done(_page(form), f"Deleted {count:,} records; the last version of each is kept.")


def keep_deletions(form: Form) -> Done:
    """Keep what waits for the owner's word."""
    count = deletions.keep(form.console.db, row_of(form).name, form.text("stream") or None)
    return Done(_page(form), f"Kept {count:,} records.")


def change(form: Form) -> Done:
    """Change the settings that differ from what is stored."""
    row = row_of(form)
    held = {name: text_of(value) for name, value in row.settings.items()}
    given = _given(form, registry.get(row.connector).manifest)
    changed = [f"{name}={text}" for name, text in given.items() if text != held.get(name, "")]
    connection_changes.change(form.console.db, row.name, changed, None)
    said = f"Changed {', '.join(one.partition('=')[0] for one in changed)}; the next run works with it."
    return Done(_page(form), said if changed else "Nothing was changed.")


def set_schedule(form: Form) -> Done:
    """Change the schedule."""
    row, schedule = row_of(form), _schedule(form, None)
    if schedule is None:
        raise ConfigurationError("Give an interval, such as 1h, or a cron line.")
    connection_changes.change(form.console.db, row.name, [], schedule)
    return Done(_page(form), f"Changed the schedule of {row.name}; it is due now.")


def set_rate(form: Form) -> Done:
    """Set the connection's own rate ceiling, or go back to the connector's."""
    row, text = row_of(form), form.text("min_interval_ms")
    interval = positive_ms("The rate ceiling", text) if text else None
    connection_changes.set_rate(form.console.db, row.name, interval)
    return Done(_page(form), f"Changed the rate ceiling of {row.name}; its next slice keeps to it.")


def set_credential(form: Form) -> Done:
    """Replace one credential."""
    row, name = row_of(form), form.text("name")
    manifest = registry.get(row.connector).manifest
    if name not in manifest.credentials:
        raise ConfigurationError(f"{manifest.name} has no such credential.")
    connection_changes.set_credentials(
        form.console.db, row, {name: _sealed(form, Place(row.connector, row.name, name), form.text("value"))}
    )
    return Done(_page(form), f"Replaced {name} of {row.name}; gaps that waited for it are due now.")


def add(form: Form) -> Done:
    """Add a connection."""
    name, manifest = form.text("name"), registry.get(form.text("connector")).manifest
    connection_changes.check_name(name)
    asked = _schedule(form, manifest.schedule_every_s)
    by_hand = not manifest.is_scheduled and not form.text("every") and not form.text("cron")
    given = [f"{key}={text}" for key, text in _given(form, manifest).items() if text]
    connection_changes.add(
        form.console.db,
        name,
        manifest.name,
        settings=read_settings(manifest, given),
        credentials=_credentials(form, manifest, name),
        schedule=asked,
        min_interval_ms=None,
        paused=by_hand,
    )
    why = "may ask for you" if manifest.asks_owner else "is to be started by hand"
    waits = f" It is paused, since its connector {why}; resume it, or collect it by hand." if by_hand else ""
    return Done(f"/connections/{_id_of(form.console, name)}", f"Added {name}.{waits}")


def notify(queued: list[DueRun]) -> str:
    """Notify the workers; returns what is to be said where the broker does not take it."""
    from pdpp_worker.tasks import doorbell  # loads Celery, which no page needs

    heard = [doorbell.notify(one) for one in queued]
    return "" if all(heard) else " The broker cannot be reached; the dispatcher will find it once the fleet is up."


def _page(form: Form) -> str:
    return f"/connections/{form.id}"


def _given(form: Form, manifest: Manifest) -> dict[str, str]:
    return {name: form.text(f"set.{name}") for name in manifest.settings if f"set.{name}" in form.fields}


def _schedule(form: Form, default_s: float | None) -> Schedule | None:
    every, cron = form.text("every"), form.text("cron")
    if every and cron:
        raise ConfigurationError("Give either an interval or a cron line, not both.")
    if cron:
        return schedule_rules.at_times(cron)
    every_s = parse_duration(every) if every else default_s
    return None if every_s is None else schedule_rules.at_interval(every_s)


def _credentials(form: Form, manifest: Manifest, connection: str) -> dict[str, str]:
    given = {name: form.text(f"secret.{name}") for name in manifest.credentials}
    needed = {name: text for name, text in given.items() if text or manifest.credentials[name].required}
    return {name: _sealed(form, Place(manifest.name, connection, name), text) for name, text in needed.items()}


def _sealed(form: Form, place: Place, value: str) -> str:
    """The stored form of a credential, for this place.

    Raises:
        ConfigurationError: it is empty, or a reference that gives nothing.
    """
    if not value:
        raise ConfigurationError(f"The credential {place.name} is needed, and nothing was given.")
    vault = Vault(form.console.settings)
    stored = vault.seal(value, place)
    vault.open(place, stored)
    return stored


def _id_of(console: Console, name: str) -> int:
    with console.db.begin() as connection:
        return lookup.find(connection, name).id
