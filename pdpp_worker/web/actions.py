"""Forms about a connection and its runs: each calls the owner's service, and says what happened."""

from __future__ import annotations

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import connection_changes, deletions, manual_runs, schedule_rules
from pdpp_worker.owner.manual_runs import DueRun
from pdpp_worker.owner.schedule_rules import Written
from pdpp_worker.settings import positive_ms
from pdpp_worker.store.views import connection_views
from pdpp_worker.web.console import Done, Form, Page
from pdpp_worker.web.form_values import row_of, written_schedule


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


def set_schedule(form: Form) -> Done | Page:
    """Change the schedule; where it is none, the form comes again with what was typed."""
    row, asked = row_of(form), written_schedule(form)
    with form.console.db.begin() as connection:
        held = connection_views.schedule_of(connection, row.id)
    try:
        schedule = schedule_rules.changed(schedule_rules.written(*held), _given(asked))
    except ConfigurationError as error:
        link = {"path": _page(form), "json_link": f"{_page(form)}.json"}
        return Page("schedule.html", {"failure": str(error)}, {"row": row, "typed": asked, **link}, status=400)
    connection_changes.change(form.console.db, row.name, [], schedule)
    return Done(_page(form), f"Changed the schedule of {row.name}; it is due now.")


def _given(asked: Written) -> Written:
    if not any(asked):
        raise ConfigurationError("Give an interval, such as 1h, or a cron line.")
    return asked


def set_rate(form: Form) -> Done:
    """Set the connection's own rate ceiling, or go back to the connector's."""
    row, text = row_of(form), form.text("min_interval_ms")
    interval = positive_ms("The rate ceiling", text) if text else None
    connection_changes.set_rate(form.console.db, row.name, interval)
    return Done(_page(form), f"Changed the rate ceiling of {row.name}; its next slice keeps to it.")


def notify(queued: list[DueRun]) -> str:
    """Notify the workers; returns what is to be said where the broker does not take it."""
    from pdpp_worker.tasks import doorbell  # loads Celery, which no page needs

    heard = [doorbell.notify(one) for one in queued]
    return "" if all(heard) else " The broker cannot be reached; the dispatcher will find it once the fleet is up."


def _page(form: Form) -> str:
    return f"/connections/{form.id}"
