"""The messages of the vectors through the real way in: the dialect and the command's handler."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pdpp_worker.command.dialect.forms import Facts, Reply
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.errors import ProtocolViolation
from pdpp_worker.protocol.messages import Interaction, Start, StartScope
from pdpp_worker.protocol.scope import StreamScope
from pdpp_worker.runtime.command_handler import CommandHandler
from tests.command.conftest import HANDED, NOW, POST_BOX
from tests.protocol.test_vectors import title, vectors

START = vectors("to_connector")[0]["message"]
# What the reason of a vector says of cursors that are withheld.
WITHHELD = {
    "before the time range": {"letters"},
    "a field that START did not ask for": {"stamps"},
    "outside the resources": {"parcels"},
    "a lease of another hand-over": {"letters"},
    "a key in two outcome sets": {"letters"},
    "reference_only must be there": {"letters"},
    "stamps declares state_stream": {"letters"},
    "not among the declared parents": {"letters", "parcels"},
    "unknown type": {"parcels"},
}


class Run:
    """A run in the vectors' context, as far as its messages go."""

    def __init__(self) -> None:
        scopes = [StreamScope.model_validate(one) for one in START["scope"]["streams"]]
        gap = HANDED.model_copy(update={"gap_id": "41"})
        start = Start(run_id="7", scope=StartScope(streams=scopes), detail_gaps=[gap])
        handover = Handover([gap], token=lambda: "l-41")
        handover.first()
        names = frozenset(one.name for one in scopes)
        self._reader = DialectReader(Facts(POST_BOX, names, handover, lambda: NOW))
        self.handler = CommandHandler(POST_BOX, start, lambda text: text)

    def take(self, message: dict[str, Any]) -> None:
        """Take a message; gaps are numbered here."""
        line = json.dumps(message).replace('"g-41"', '"41"').encode()
        for item in self._reader.read(line):
            if not isinstance(item, Reply | Interaction):
                self.handler.handle(item)

    def report_tracking(self) -> None:
        """Say what became of the details of the stream that declares its parents: there were none."""
        for parent in ("letters", "parcels"):
            names: dict[str, Any] = {
                "stream": "tracking",
                "state_stream": parent,
                "required_keys": [],
                "hydrated_keys": [],
            }
            self.take({"type": "DETAIL_COVERAGE", "reference_only": True, **names})

    @property
    def refused(self) -> bool:
        """Whether something was refused, as a message or as a record."""
        return bool(self.handler.refused or self.handler.batch.rejections)


@pytest.mark.parametrize("vector", vectors("from_connector"), ids=title)
def test_a_message_gets_its_verdict(vector: dict[str, Any]) -> None:
    run = Run()

    try:
        run.take(vector["message"])
        ends_the_run = False
    except ProtocolViolation:
        ends_the_run = True

    assert ("refused" if run.refused or ends_the_run else "accepted") == vector["expect"]
    assert ends_the_run == str(vector["why"]).startswith("ends the run")


@pytest.mark.parametrize("why", WITHHELD)
def test_a_refusal_withholds_the_cursors_that_could_hide_a_miss(why: str) -> None:
    [vector] = [one for one in vectors("from_connector") if why in one["why"]]
    run = Run()
    run.report_tracking()

    run.take({"type": "STATE", "stream": "letters", "cursor": {"page": 4}})
    run.take({"type": "STATE", "stream": "parcels", "cursor": {"page": 4}})
    run.take({"type": "STATE", "stream": "stamps", "cursor": {"page": 4}})
    run.take(vector["message"])
    run.handler.checkpoints.commit_staged(excluding=())

    assert not WITHHELD[why] & run.handler.batch.checkpoints.keys()
    assert WITHHELD[why] <= run.handler.checkpoints.errors.keys()


def test_the_cursor_of_a_child_commits_with_that_of_its_parent() -> None:
    run = Run()

    run.take({"type": "STATE", "stream": "stamps", "cursor": {"page": 4}})
    run.take({"type": "STATE", "stream": "letters", "cursor": {"page": 5}})
    run.report_tracking()
    run.handler.checkpoints.commit_staged(excluding=())

    assert run.handler.batch.checkpoints == {"stamps": '{"page":4}', "letters": '{"page":5}'}


def test_the_cursor_of_a_child_never_commits_without_that_of_its_parent() -> None:
    run = Run()

    run.take({"type": "STATE", "stream": "stamps", "cursor": {"page": 4}})
    run.handler.checkpoints.commit_staged(excluding={"letters"})

    assert run.handler.batch.checkpoints == {}


def test_details_without_a_declared_parent_hold_back_the_one_under_which_they_are_reported() -> None:
    run = Run()
    coverage = {"type": "DETAIL_COVERAGE", "reference_only": True, "stream": "scans", "state_stream": "letters"}

    run.report_tracking()
    run.take({"type": "STATE", "stream": "letters", "cursor": {"page": 4}})
    run.take({**coverage, "required_keys": ["L-1", 31], "hydrated_keys": ["L-1"], "gap_keys": [31]})
    run.handler.checkpoints.commit_staged(excluding=())
    assert run.handler.batch.checkpoints == {}

    run = Run()
    run.report_tracking()
    run.take({"type": "STATE", "stream": "letters", "cursor": {"page": 4}})
    run.take({"type": "DETAIL_GAP", "stream": "scans", "parent_stream": "letters", "record_key": 31})
    run.take({**coverage, "required_keys": ["L-1", 31], "hydrated_keys": ["L-1"], "gap_keys": [31]})
    run.handler.checkpoints.commit_staged(excluding=())
    assert run.handler.batch.checkpoints == {"letters": '{"page":4}'}
    assert run.handler.checkpoints.keepers("scans") == {"scans", "letters"}


def test_a_declared_parent_of_which_nothing_is_reported_keeps_its_cursor() -> None:
    run = Run()

    run.take({"type": "STATE", "stream": "parcels", "cursor": {"page": 4}})
    run.handler.checkpoints.commit_staged(excluding=())

    assert run.handler.batch.checkpoints == {}
