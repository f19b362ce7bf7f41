"""The interface for connectors in Python: messages, failures, the context, and a toolbox for the usual reports.

A connector is a folder with `manifest.json` and a module `connector.py` that defines

    def collect(start: Start, context: Context) -> Iterator[Message]: ...

and, if the account can be tried before the first run,

    def check(context: Context) -> Reached: ...

It has no database, no sleep and no retry loop of its own; it yields messages and the runtime does the rest. A DONE is
implied when the iterator ends; an exception ends the run as failed, and what was committed before stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pdpp_worker.clock import going_on_from
from pdpp_worker.confined.beside import WORTH_BYTES
from pdpp_worker.confined.crowded_json import is_crowded
from pdpp_worker.confined.databases import ForeignDatabase, UnreadableDatabaseError, open_database
from pdpp_worker.confined.requests import Member
from pdpp_worker.confined.room import ConfinedError, Room
from pdpp_worker.confined.unpacking import Zip, open_gzip, open_zip
from pdpp_worker.connector.author_context import Closes, Collect, Context, OpenAhead
from pdpp_worker.connector.inventories import inventory_of
from pdpp_worker.connector.phases import Phase, run_phases
from pdpp_worker.connector.reached import Check, Reached
from pdpp_worker.connector.reports import (
    account_named,
    closed_as_absent,
    closed_by,
    detail_coverage,
    gap_for,
    narrowed_streams,
    reason_for,
    refuse,
    refuse_narrowed,
    resource_of,
    skip,
    skip_for,
    still_missing,
)
from pdpp_worker.errors import (
    AuthExpired,
    Challenged,
    ConfigurationError,
    Forbidden,
    Gone,
    NeedsOwner,
    ProviderError,
    ShapeError,
    StorageFull,
    Throttled,
    UpstreamError,
)
from pdpp_worker.protocol.messages import (
    Budget,
    DetailCoverage,
    DetailGap,
    DetailGapRecovered,
    Done,
    DoneError,
    GapToClose,
    Interaction,
    InteractionResponse,
    Inventory,
    Message,
    Progress,
    Record,
    SkipResult,
    SourceAccount,
    SourceMember,
    Start,
    State,
)
from pdpp_worker.protocol.reasons import Reason, RecoveryKind, known_reason
from pdpp_worker.protocol.scope import WHOLE_STREAM, BatchScope, ResourceScope, Scope, TimeRange

if TYPE_CHECKING:  # named, not used: it needs a library of ciphers, and a connector is handed one
    from pdpp_worker.stored_files.file_store import FileStore as FileStore

__all__ = [
    "WHOLE_STREAM",
    "WORTH_BYTES",
    "AuthExpired",
    "BatchScope",
    "Budget",
    "Challenged",
    "Check",
    "Closes",
    "Collect",
    "ConfigurationError",
    "ConfinedError",
    "Context",
    "DetailCoverage",
    "DetailGap",
    "DetailGapRecovered",
    "Done",
    "DoneError",
    "Forbidden",
    "ForeignDatabase",
    "GapToClose",
    "Gone",
    "Interaction",
    "InteractionResponse",
    "Inventory",
    "Member",
    "Message",
    "NeedsOwner",
    "OpenAhead",
    "Phase",
    "Progress",
    "ProviderError",
    "Reached",
    "Reason",
    "Record",
    "RecoveryKind",
    "ResourceScope",
    "Room",
    "Scope",
    "ShapeError",
    "SkipResult",
    "SourceAccount",
    "SourceMember",
    "Start",
    "State",
    "StorageFull",
    "Throttled",
    "TimeRange",
    "UnreadableDatabaseError",
    "UpstreamError",
    "Zip",
    "account_named",
    "closed_as_absent",
    "closed_by",
    "detail_coverage",
    "gap_for",
    "going_on_from",
    "inventory_of",
    "is_crowded",
    "known_reason",
    "narrowed_streams",
    "open_database",
    "open_gzip",
    "open_zip",
    "reason_for",
    "refuse",
    "refuse_narrowed",
    "resource_of",
    "run_phases",
    "skip",
    "skip_for",
    "still_missing",
]
