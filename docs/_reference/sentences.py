"""The page of the reasons: the sentence that an owner reads, and who resolves the gap."""

from __future__ import annotations

from docs._reference.markdown import code, table
from pdpp_worker.protocol.reasons import NEEDS_OWNER, Reason, RecoveryKind

_WHO = {RecoveryKind.RUNTIME: "the fleet, later", RecoveryKind.UPGRADE: "a newer version of the connector"}


def reasons_page() -> str:
    """Every reason with its recovery kind and sentence."""
    rows = [
        (code(one.value), "you" if one in NEEDS_OWNER else _WHO[one.kind], code(one.kind.value), one.sentence)
        for one in Reason
    ]
    return "# Reasons of gaps\n\n" + table(("reason", "who resolves it", "recovery kind", "sentence"), rows)
