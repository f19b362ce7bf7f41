"""The messages between the runtime and a connector (Collection Profile 0.1).

Connectors in Python yield these objects; connectors in other languages write the same as JSON lines. Unknown fields
are ignored, unknown types refused.
"""

from pdpp_worker.protocol.messages.decode import describe, parse_message
from pdpp_worker.protocol.messages.field_types import HintAction, RecoveryHint
from pdpp_worker.protocol.messages.inventory import MOST_MEMBERS, Inventory, SourceMember
from pdpp_worker.protocol.messages.record import EncodedRecord, LongRecord, Record, RecordForm, WrittenRecord
from pdpp_worker.protocol.messages.sent import (
    STREAM_FAILED,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    DoneError,
    Interaction,
    InteractionResponse,
    LongState,
    Message,
    Progress,
    SkipResult,
    SourceAccount,
    State,
    check_kind,
)
from pdpp_worker.protocol.messages.start import Budget, GapToClose, Start, StartScope

__all__ = [
    "MOST_MEMBERS",
    "STREAM_FAILED",
    "Budget",
    "DetailCoverage",
    "DetailGap",
    "DetailGapRecovered",
    "Done",
    "DoneError",
    "EncodedRecord",
    "GapToClose",
    "HintAction",
    "Interaction",
    "InteractionResponse",
    "Inventory",
    "LongRecord",
    "LongState",
    "Message",
    "Progress",
    "Record",
    "RecordForm",
    "RecoveryHint",
    "SkipResult",
    "SourceAccount",
    "SourceMember",
    "Start",
    "StartScope",
    "State",
    "WrittenRecord",
    "check_kind",
    "describe",
    "parse_message",
]
