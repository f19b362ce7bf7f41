"""Forms about gaps: fetch them now, do without them, ask for them again."""

from __future__ import annotations

from collections.abc import Callable

from pdpp_worker.coverage.outlook import Outlook, read
from pdpp_worker.coverage.recover_words import cost_before, cost_of_run, counted, why_not
from pdpp_worker.errors import ConfigurationError
from pdpp_worker.owner import gap_changes, gap_filters, manual_runs
from pdpp_worker.owner.gap_filters import GapFilter
from pdpp_worker.owner.lookup import ConnectionRow
from pdpp_worker.owner.manual_runs import DueRun, GapSummary
from pdpp_worker.owner.session import Database
from pdpp_worker.protocol.messages import Budget
from pdpp_worker.store.views import run_views
from pdpp_worker.web.actions import notify
from pdpp_worker.web.console import Console, Done, Form, Page
from pdpp_worker.web.form_values import row_of


def recover(form: Form) -> Done | Page:
    """Retry the chosen gaps now; or say why nobody does.

    The cost is told before anything is queued, unless the form was on a gap's own page, which tells it already.
    """
    row, chosen = row_of(form), _chosen(form)
    if not _is_agreed(form):
        outlook, held = _about(form.console, row, chosen)
        if due := held.missing - held.by_upgrade:
            label = "Fetch it now" if due == 1 else "Fetch them now"
            return _ask(form, "recover", label, cost_before(outlook, held))
    queued = manual_runs.recover(form.console.settings, form.console.db, [row], chosen, Budget())
    if not queued:
        return Done(_back(form), _why_not(form.console, row, chosen))
    said = _cost(form.console, queued[0], chosen)
    return Done(f"/runs/{queued[0].run_id}", f"{said}. Run {queued[0].run_id} is queued.{notify(queued)}")


def waive(form: Form) -> Done | Page:
    """Do without the chosen gaps, once the owner has agreed; where one is a whole stream, wherever the form was."""
    row, chosen = row_of(form), _named(form)
    _, held = _about(form.console, row, chosen)
    if held.whole_streams and not form.text("sure"):
        said = f"{row.name} would go without the whole stream: nothing of it is asked for, nor counted as missing."
        return _ask(form, "waive", "Do without the whole stream", said)
    if held.missing and not _is_agreed(form):
        label = "Do without it" if held.missing == 1 else "Do without them"
        said = f"{row.name} would go without {counted(held.missing)}: not asked for any more, nor counted as missing."
        return _ask(form, "waive", label, f"{said} Reopen takes that back.")
    return _change(form, gap_changes.waive, "waived: they are no longer asked for, nor counted as missing")


def reopen(form: Form) -> Done:
    """Ask again for the chosen gaps."""
    return _change(form, gap_changes.reopen, "open again")


def _ask(form: Form, act: str, label: str, said: str) -> Page:
    fields = [(name, value) for name, values in form.fields.items() if name != "token" for value in values]
    shown = {
        "fields": fields,
        "action": f"/connections/{form.id}/{act}",
        "label": label,
        "back": _back(form),
        "path": "/gaps",
    }
    return Page("asked.html", {"said": said}, {**shown, "json_link": f"/gaps.json?connection={form.id}"})


def _change(form: Form, change: Callable[[Database, str, GapFilter], int], outcome: str) -> Done:
    row = row_of(form)
    count = change(form.console.db, row.name, _named(form))
    return Done(_back(form), f"Gaps of {row.name} that are {outcome}: {count:,}.")


def _is_agreed(form: Form) -> bool:
    """Whether the owner knows what the form is about: it asked once more, or was on the page of a gap."""
    return bool(form.text("sure")) or form.text("back") == "gap"


def _named(form: Form) -> GapFilter:
    """The chosen gaps, which are not simply all."""
    chosen = _chosen(form)
    if chosen == gap_filters.ALL:
        raise ConfigurationError("Say which gaps: choose some of them, a stream or a reason.")
    return chosen


def _chosen(form: Form) -> GapFilter:
    """The gaps that were ticked, else those of the stream and the reason."""
    ids = form.numbers("gap")
    if form.text("only") and not ids:
        raise ConfigurationError("No gap was chosen; tick those that you mean.")
    return gap_filters.gap_filter(form.text("stream") or None, form.text("reason") or None, ids)


def _back(form: Form) -> str:
    """Where the form was: a gap's page, or the list of the connection's gaps."""
    ids = form.numbers("gap")
    return f"/gaps/{ids[0]}" if form.text("back") == "gap" and ids else f"/gaps?connection={form.id}"


def _cost(console: Console, queued: DueRun, chosen: GapFilter) -> str:
    with console.db.begin() as connection:
        view, cost = run_views.one(connection, queued.run_id), run_views.stated_cost(connection, queued.run_id)
        [outlook] = read(console.settings, connection, [view.connection_id])
        single = manual_runs.names_single_items(connection, view.connection_id, chosen)
    return cost_of_run(outlook, cost, single_items=single)


def _why_not(console: Console, row: ConnectionRow, chosen: GapFilter) -> str:
    outlook, held = _about(console, row, chosen)
    return why_not(outlook, held, chosen=chosen != gap_filters.ALL)


def _about(console: Console, row: ConnectionRow, chosen: GapFilter) -> tuple[Outlook, GapSummary]:
    with console.db.begin() as connection:
        [outlook] = read(console.settings, connection, [row.id])
        return outlook, manual_runs.gap_summary(connection, row.id, chosen)
