"""One defect in an otherwise correct connector: the check that is meant for it fails, and names it."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest

from pdpp_worker.conformance.checks.account import MOST_REQUESTS
from pdpp_worker.conformance.report import NAMES, Ending, Examination, Result
from pdpp_worker.connector import (
    AuthExpired,
    BatchScope,
    Context,
    DetailGap,
    DetailGapRecovered,
    GapToClose,
    Message,
    ProviderError,
    Reached,
    Reason,
    Record,
    RecoveryKind,
    SkipResult,
    SourceMember,
    Start,
    State,
    TimeRange,
    UpstreamError,
)
from tests.conformance.notes import SECRET, Keeper, Notebook, NotebookSubject

OF_LIVING_ACCOUNTS = {"lying provider"}
"""Checks with defects of their own, in test_adversary.py."""
OF_PROGRAMS = {"leniency"}
"""Checks of programs only; their defects are in test_commands.py."""


def examine(keeper: type[Keeper], *names: str) -> list[Result]:
    """The results of some checks, or of all."""
    with ExitStack() as stack:
        examination = Examination(NotebookSubject(keeper), stack)
        return [examination.result(name) for name in names or NAMES]


class TakesAnyCredential(Keeper):
    def check(self, context: Context) -> Reached:
        return Reached(holds={"notes": len(self.notebook.list(context, "notes", 0))})


class RefusesWhatWorks(Keeper):
    def check(self, context: Context) -> Reached:
        super().check(context)
        raise UpstreamError("the notebook is closed today")


class RefusesWithTheCredential(Keeper):
    def check(self, context: Context) -> Reached:
        try:
            return super().check(context)
        except AuthExpired as error:
            raise AuthExpired(context.secret("token").get_secret_value()) from error


class AsksForEverythingInItsCheck(Keeper):
    def check(self, context: Context) -> Reached:
        for _ in range(MOST_REQUESTS + 1):
            self.notebook.list(context, "notes", 0)
        return super().check(context)


class CollectsInItsCheck(Keeper):
    def check(self, context: Context) -> Reached:
        super().check(context)
        return [self.record("notes", {"id": "notes-0"}, context)]  # type: ignore[return-value]


class BroadensToAnotherStream(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().walk(start, context, stream)
        if not start.wants("drafts"):
            yield self.record("drafts", self.notebook.read(context, "drafts-0"), context)


class IgnoresResources(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        if start.scope.streams[0].resources is None:
            yield from super().item(start, context, stream, key)
        else:
            yield self.record(stream, self.notebook.read(context, key), context)


class IgnoresTheTimeRange(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        if start.scope.streams[0].time_range is None:
            yield from super().item(start, context, stream, key)
        else:
            yield self.record(stream, self.notebook.read(context, key), context)


class IgnoresTheEndOfTheTimeRange(Keeper):
    def is_within(self, period: TimeRange | None, moment: str) -> bool:
        return period is None or (period.since or "") <= moment


class IgnoresFields(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        if start.scope.streams[0].fields is None:
            yield from super().item(start, context, stream, key)
        else:
            yield self.record(stream, self.notebook.read(context, key), context)


class NarrowsInSilence(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        if start.scope.streams[0].resources is None:
            yield from super().walk(start, context, stream)


class StateBeforeItsRecords(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        place = (start.cursor(stream) or {"after": 0})["after"]
        while keys := self.notebook.list(context, stream, place):
            place += len(keys)
            yield State(stream=stream, cursor={"after": place})
            for key in keys:
                yield from self.item(start, context, stream, key)


class LosesRecordsOnResume(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        place = (start.cursor(stream) or {"after": 0})["after"]
        while keys := self.notebook.list(context, stream, place):
            for key in keys:
                yield from self.item(start, context, stream, key)
            place += len(keys)
            yield State(stream=stream, cursor={"after": place + 1})


class KeepsItsPlaceInAFile(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        file = context.files / stream
        place = int(file.read_text()) if file.exists() else 0
        while keys := self.notebook.list(context, stream, place):
            place += len(keys)
            file.write_text(str(place))
            for key in keys:
                yield from self.item(start, context, stream, key)
            yield State(stream=stream, cursor={"after": place})


class CatchesBaseException(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        try:
            yield from super().item(start, context, stream, key)
        except BaseException:  # noqa: BLE001 - the defect
            yield self.gap(stream, key, "upstream_error")


class GoesOnAfterTheSlice(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        try:
            found = list(super().item(start, context, stream, key))
        except BaseException:  # noqa: BLE001 - the defect
            found = [self.gap(stream, key, "upstream_error")]
        yield from found


class TakesARefusalForTheEnd(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        try:
            yield from super().walk(start, context, stream)
        except UpstreamError:
            return


class RecoversByListing(Keeper):
    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        if start.detail_gaps:
            self.notebook.list(context, stream, 0)
        yield from super().recover(start, context, stream)


class RecoversMoreThanAsked(Keeper):
    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        if start.detail_gaps:
            yield self.record(stream, self.notebook.read(context, f"{stream}-5"), context)
        yield from super().recover(start, context, stream)


class OverrunsItsBudget(Keeper):
    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        unbounded = start.model_copy(update={"budget": start.budget.model_copy(update={"items": None})})
        yield from super().recover(unbounded, context, stream)


class SkipsWithoutScope(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().walk(start, context, stream)
        yield SkipResult(stream=stream, reason="parse_failed", recovery_kind=RecoveryKind.UPGRADE)


class SkipsWithoutKind(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().walk(start, context, stream)
        yield SkipResult(stream=stream, reason="parse_failed", scope=BatchScope(partition={"box": "a"}))


class MissesAPartThatItCannotBeAskedFor(Keeper):
    def gap(self, stream: str, key: str, reason: str, gap_id: str | None = None) -> Any:
        if gap_id is not None:
            return super().gap(stream, key, reason, gap_id)
        scope = BatchScope(partition={"box": key})
        return SkipResult(stream=stream, reason="timed_out", scope=scope, recovery_kind=RecoveryKind.RUNTIME)


class SkipsForStructure(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().walk(start, context, stream)
        scope = BatchScope(partition={"box": "a"})
        yield SkipResult(stream=stream, reason="no_stars", scope=scope, recovery_kind=RecoveryKind.STRUCTURAL)


class InventsAReason(Keeper):
    def gap(self, stream: str, key: str, reason: str, gap_id: str | None = None) -> DetailGap:  # noqa: ARG002
        return super().gap(stream, key, "the_notebook_is_full", gap_id)


class TakesTimeForAMender(Keeper):
    def reason_for_garbled(self) -> str:
        return Reason.UPSTREAM_ERROR.value


class SecretInARecord(Keeper):
    def record(self, stream: str, data: dict[str, Any], context: Context) -> Record:
        return super().record(stream, {**data, "text": f"as {SECRET}"}, context)


class SecretInACursor(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        for message in super().walk(start, context, stream):
            if isinstance(message, State):
                yield message.model_copy(update={"cursor": {**message.cursor, "t": SECRET}})
            else:
                yield message


class SecretInAGap(Keeper):
    def gap(self, stream: str, key: str, reason: str, gap_id: str | None = None) -> DetailGap:
        return super().gap(stream, key, reason, gap_id).model_copy(update={"last_error": f"GET ?t={SECRET}"})


class SecretInTheLog(Keeper):
    def record(self, stream: str, data: dict[str, Any], context: Context) -> Record:
        context.log.debug("read", token=context.secret("token").get_secret_value())
        return super().record(stream, data, context)


class RandomKeys(Keeper):
    def record(self, stream: str, data: dict[str, Any], context: Context) -> Record:
        key = str(uuid.uuid4())
        return Record(stream=stream, key=key, data={**data, "id": key}, emitted_at=context.now())


class ClockInTheData(Keeper):
    def record(self, stream: str, data: dict[str, Any], context: Context) -> Record:
        return super().record(stream, {**data, "text": context.now().isoformat()}, context)


class SwallowsAMiss(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        yield from (one for one in super().item(start, context, stream, key) if not isinstance(one, DetailGap))


class StopsBeforeTheEnd(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        for message in super().walk(start, context, stream):
            yield message
            if isinstance(message, State) and message.cursor["after"] >= 4:
                return


class RecoversWithoutARecord(Keeper):
    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:  # noqa: ARG002
        yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key)


class GivesUpForAbsent(Keeper):
    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:
        for message in super().close(gap, key, context):
            if isinstance(message, DetailGap):
                yield DetailGapRecovered(gap_id=gap.gap_id, stream=gap.stream, record_key=key, absent=True)
            else:
                yield message


class GoesOnRecoveringWhenSignedOut(Keeper):
    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:
        try:
            yield from super().close(gap, key, context)
        except AuthExpired as error:
            yield self.gap(gap.stream, key, error.reason, gap.gap_id)


class ForgetsAGap(Keeper):
    def close(self, gap: GapToClose, key: str, context: Context) -> Iterator[Message]:
        yield from (one for one in super().close(gap, key, context) if isinstance(one, Record))


class MovesTheCursorInRecovery(Keeper):
    def recover(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().recover(start, context, stream)
        if start.recovery_only:
            yield State(stream=stream, cursor={"after": 6})


class GoesOnWhenChallenged(Keeper):
    def item(self, start: Start, context: Context, stream: str, key: str) -> Iterator[Message]:
        try:
            yield from super().item(start, context, stream, key)
        except ProviderError as error:
            yield self.gap(stream, key, error.reason)


class BlamesThePlatformWhenSignedOut(Keeper):
    def reason_of(self, error: ProviderError) -> Reason:  # noqa: ARG002
        return Reason.UPSTREAM_ERROR


class ReturnsNothing(Keeper):
    def collect(self, start: Start, context: Context) -> Iterator[Message]:  # noqa: ARG002
        return None  # type: ignore[return-value]


class YieldsWhatIsNoMessage(Keeper):
    def collect(self, start: Start, context: Context) -> Iterator[Message]:  # noqa: ARG002
        yield {"type": "PROGRESS"}  # type: ignore[misc]


class FailsByItself(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        yield from super().walk(start, context, stream)
        raise KeyError("box")


class MissesTheNextVisit(Keeper):
    def walk(self, start: Start, context: Context, stream: str) -> Iterator[Message]:
        cursor = start.cursor(stream)
        if cursor is None or cursor["after"] < 6:
            yield from super().walk(start, context, stream)


class NamesThePartsOnce(Keeper):
    def inventory(self, start: Start) -> Iterator[Message]:
        if start.state is None:
            yield from super().inventory(start)


class DropsTheRest(Keeper):
    def shape(self, stream: str, item: dict[str, Any]) -> dict[str, Any]:
        return {**super().shape(stream, item), "extra": {}}


class RefusesANewField(Keeper):
    def shape(self, stream: str, item: dict[str, Any]) -> dict[str, Any]:
        return {} if "mood" in item else super().shape(stream, item)


class LeavesFilesAlone(Keeper):
    def unknown(self, names: Sequence[str]) -> list[SourceMember]:  # noqa: ARG002
        return []


class NamesEveryFile(Keeper):
    def unknown(self, names: Sequence[str]) -> list[SourceMember]:
        return [SourceMember(kind="file", name=one, disposition="unknown", count=1) for one in names]


class DoesNotCountFiles(Keeper):
    def unknown(self, names: Sequence[str]) -> list[SourceMember]:
        return [one.model_copy(update={"count": None}) for one in super().unknown(names)]


class BelievesThatItIsTheEnd(Keeper):
    def doubt_the_end(self, stream: str, place: int) -> Iterator[Message]:  # noqa: ARG002
        yield from ()


class KeepsTheLastOfTwo(Keeper):
    def others(self, stream: str, data: dict[str, Any], context: Context) -> Iterator[Message]:
        for text in self.notebook.twins(data["id"]):
            yield self.record(stream, {**data, "text": text}, context)


class BelievesACount(Keeper):
    def drafts_of(self, number: str) -> int:
        return super().drafts_of(number) + 1


PLANTED = [
    (NamesThePartsOnce, "inventory", r"second walk does not name the parts notebook"),
    (DropsTheRest, "unknown field", r"dropped without a word: a-mood stands in no record"),
    (RefusesANewField, "unknown field", r"costs more than itself: of stream 'notes' also missing: notes-0"),
    (LeavesFilesAlone, "unknown member", r"nothing names it: scraps/1\.txt, scraps/2\.txt"),
    (NamesEveryFile, "unknown member", r"2 members of one kind are 2 lines"),
    (DoesNotCountFiles, "unknown member", r"scraps/\*\.txt is counted as None; the source has 2"),
    (BelievesThatItIsTheEnd, "contradicting total", r"says that it has more of notes than it gives, and no gap"),
    (KeepsTheLastOfTwo, "repeated id", r"the text of notes-0 is lost without a word"),
    (BelievesACount, "counts", r"draft_count of notes notes-0 says 2, and 1 records of drafts are held"),
    (TakesAnyCredential, "account check", r"reaches an account with a wrong credential, without a word"),
    (RefusesWhatWorks, "account check", r"refuses an account that works: the notebook is closed today"),
    (RefusesWithTheCredential, "account check", r"without a sentence, or with the credential in it"),
    (AsksForEverythingInItsCheck, "account check", r"sends 15 requests, and should send a handful"),
    (CollectsInItsCheck, "account check", r"its check returns list, no Reached"),
    (BroadensToAnotherStream, "streams alone", r"stream 'notes' alone.*RECORD of stream 'drafts' is outside the scope"),
    (IgnoresResources, "narrowed scope", r"'notes' by resources.*'notes' is outside the resources"),
    (IgnoresTheTimeRange, "narrowed scope", r"'notes' by time_range.*'notes' is outside the time range"),
    (IgnoresTheEndOfTheTimeRange, "narrowed scope", r"'notes' by time_range until.*'notes' is outside the time range"),
    (IgnoresFields, "narrowed scope", r"'notes' by fields.*'notes' has a field that START did not ask for"),
    (NarrowsInSilence, "narrowed scope", r"'notes' by resources, leaves out without a word: notes-0"),
    (StateBeforeItsRecords, "kill and resume", r"killed after message 2 \(STATE of stream 'notes'\).*notes-0, notes-1"),
    (LosesRecordsOnResume, "kill and resume", r"STATE of stream 'notes'.*1 record of stream 'notes' missing: notes-2"),
    (
        KeepsItsPlaceInAFile,
        "kill and resume",
        r"after message 2 \(RECORD of.*1 record of stream 'notes' missing: notes-1",
    ),
    (
        CatchesBaseException,
        "kill and resume",
        r"yields another message while it is closed",
    ),
    (GoesOnAfterTheSlice, "kill and resume", r"killed at request 2: it goes on after a request has ended the slice"),
    (RecoversByListing, "targeted fetch", r"lists instead of fetching in a recovery run: list \w+ after 0"),
    (RecoversMoreThanAsked, "targeted fetch", r"what is no gap: \w+-5"),
    (OverrunsItsBudget, "targeted fetch", r"asks for 2 resources with a budget of 1 item"),
    (SkipsWithoutScope, "protocol", r"SkipResult of stream 'notes', reason 'parse_failed'.*scope is missing"),
    (SkipsWithoutKind, "protocol", r"SkipResult of stream 'notes', reason 'parse_failed'.*recovery_kind is missing"),
    (SkipsForStructure, "protocol", r"permanent_structural of stream 'notes' may not be emitted.*availability"),
    (MissesAPartThatItCannotBeAskedFor, "misses named", r"is about a batch, and recovery\.scopes.*has no 'batch'"),
    (InventsAReason, "misses named", r"DETAIL_GAP of stream '\w+' gives the reason 'the_notebook_is_full'"),
    (
        TakesTimeForAMender,
        "misses named",
        r"'drafts-0' is garbled.*upstream_error.*retried by retry_on_connector_upgrade",
    ),
    (SecretInARecord, "no secrets", r"RECORD of stream 'notes' holds the secret token"),
    (SecretInACursor, "no secrets", r"STATE of stream 'notes' holds the secret token"),
    (SecretInAGap, "no secrets", r"DETAIL_GAP of stream '\w+' holds the secret token"),
    (SecretInTheLog, "no secrets", r"the log, or an error, holds the secret token"),
    (RandomKeys, "determinism", r"two runs of one account do not agree: 6 records of stream 'drafts' missing"),
    (ClockInTheData, "determinism", r"6 records of stream 'drafts' different in text: drafts-0"),
    (SwallowsAMiss, "misses named", r"'drafts-0' is failing; missing without a word: drafts-0"),
    (TakesARefusalForTheEnd, "failing requests", r"request 1 fails.*stream 'notes' missing and no gap or skip says so"),
    (StopsBeforeTheEnd, "nothing missing", r"has 6 records of stream 'notes' and 4 came; missing.*: notes-4, notes-5"),
    (
        RecoversWithoutARecord,
        "recovery",
        r"DETAIL_GAP_RECOVERED for gap 1 is not proved.*no whole record of stream 'notes'",
    ),
    (GivesUpForAbsent, "recovery", r"closes a gap while its resource is still failing"),
    (GoesOnRecoveringWhenSignedOut, "recovery", r"asks for more in a recovery run although it is signed out: read"),
    (
        ForgetsAGap,
        "recovery",
        r"assigned a gap and says nothing of it: stream 'notes', .*notes-0",
    ),
    (
        MovesTheCursorInRecovery,
        "recovery",
        r"STATE of stream 'notes' in a recovery run",
    ),
    (GoesOnWhenChallenged, "stops when told", r"sends \d+ requests more; it has to stop"),
    (BlamesThePlatformWhenSignedOut, "stops when told", r"gives only the reasons upstream_error"),
    (ReturnsNothing, "protocol", r"its collect returns NoneType, no iterator of messages"),
    (YieldsWhatIsNoMessage, "protocol", r"message 1 is of type dict, no message"),
    (FailsByItself, "protocol", r"fails with KeyError at test_defects\.py:\d+: 'box'"),
    (MissesTheNextVisit, "next visit", r"7 records of stream 'notes' and 6 came; missing without a word: notes-new"),
]


BEFORE = {"no secrets": ("protocol", "misses named")}
"""A check that looks at what others have heard."""


def test_a_connector_without_a_defect_passes_every_check() -> None:
    results = examine(Keeper)

    others = [one for one in results if one.check not in OF_PROGRAMS | OF_LIVING_ACCOUNTS]
    assert [(one.check, one.found) for one in others if one.ending is not Ending.PASSED] == []


@pytest.mark.parametrize(("keeper", "check", "sentence"), PLANTED, ids=[one.__name__ for one, _, _ in PLANTED])
def test_a_planted_defect_is_named(keeper: type[Keeper], check: str, sentence: str) -> None:
    result = examine(keeper, *BEFORE.get(check, ()), check)[-1]

    assert result.ending is Ending.FAILED
    assert re.search(sentence, result.found, re.IGNORECASE), result.found


def test_every_check_has_a_defect_that_fails_it() -> None:
    assert {check for _, check, _ in PLANTED} | {"manifest"} | OF_PROGRAMS | OF_LIVING_ACCOUNTS == set(NAMES)


class BreaksNothing(Keeper):
    """Its account has a switch that does nothing."""

    def __init__(self, notebook: Notebook) -> None:
        super().__init__(notebook)
        notebook.inject = lambda *_: None  # type: ignore[method-assign]


class NamesOneOfTwo(Keeper):
    """One gap for all that fails."""

    def gap(self, stream: str, key: str, reason: str, gap_id: str | None = None) -> DetailGap:
        return super().gap(stream, key if gap_id else "notes-0", reason, gap_id)


def test_a_switch_that_changes_nothing_is_not_called_passed() -> None:
    result = examine(BreaksNothing, "misses named")[-1]

    assert result.ending is Ending.NOT_CHECKED
    assert "changed nothing for drafts-0, notes-0" in result.found


def test_one_gap_answers_for_one_lost_record() -> None:
    result = examine(NamesOneOfTwo, "failing requests")[-1]

    assert result.ending is Ending.FAILED
    assert "missing and no gap or skip says so" in result.found
