"""No secret, and in no cursor the path of the owner's directory, in anything that the connector ever said."""

from __future__ import annotations

from pdpp_worker.conformance.case import Case
from pdpp_worker.conformance.errors import Defect, NotChecked
from pdpp_worker.conformance.names import plural


def check_secrets(case: Case) -> str:
    """Every message, log line and error of all the runs before; it comes last."""
    watch = case.runner.watch
    if watch.found:
        raise Defect("; ".join(watch.found))
    if not watch.messages:
        raise NotChecked("The connector has not said anything.")
    if case.manifest.credentials and not case.account.secrets:
        raise NotChecked("The manifest has credentials, and the practice account gives none.")
    secrets = plural(len(case.account.secrets), "secret")
    return f"{secrets}, in none of {plural(watch.messages, 'message')} and {plural(watch.lines, 'line')} of log"
