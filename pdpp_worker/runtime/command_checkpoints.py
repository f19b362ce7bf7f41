"""The checkpoints of a command: a child's commits with its parents', and none may hide what was refused."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from pdpp_worker.protocol.manifest import Manifest
from pdpp_worker.protocol.messages import Start, State
from pdpp_worker.runtime.checkpoints import Checkpoints
from pdpp_worker.runtime.pending import PendingBatch
from pdpp_worker.store.batch import Period


class CommandCheckpoints(Checkpoints):
    """The checkpoints of one slice of a command.

    A stream without declared parents whose details are reported under another stream counts as its child for the run.
    """

    def __init__(
        self,
        manifest: Manifest,
        start: Start,
        redact: Callable[[str], str],
        pending: PendingBatch,
        failed_streams: Mapping[str, str],
    ) -> None:
        super().__init__(manifest, start, redact, pending, failed_streams)
        self._is_profile = manifest.connector_id is not None
        self._barred: dict[str, str] = {}
        """Stream to why no checkpoint of it may commit any more."""
        self._reported: dict[str, set[str]] = {}
        """Stream to the streams under which its details were reported."""

    def note_parent(self, stream: str, parent: str) -> None:
        """Details of a stream are reported under another one."""
        if stream != parent:
            self._reported.setdefault(stream, set()).add(parent)

    def keepers(self, stream: str) -> set[str]:
        """The streams whose checkpoints keep a stream's position, as declared and as reported."""
        reported = self._reported.get(stream, set())
        return {*self._keepers.get(stream, [stream]), *(one for name in reported for one in self._keepers[name])}

    def moves(self, stream: str) -> bool:
        """Whether a checkpoint that keeps a stream's position waits for the end of the run."""
        return not self._staged.keys().isdisjoint(self.keepers(stream))

    def add(self, state: State) -> None:
        """Keep, stage, hold back or refuse a checkpoint; in a recovery none is kept.

        Raises:
            ProtocolViolation: the cursor holds a secret.
        """
        if self._recovery_only:
            return
        if (why := self._barred.get(state.stream)) is None:
            super().add(state)
        else:
            self.keep_old(state.stream, why)

    def bar(self, stream: str, why: str) -> None:
        """Let no checkpoint of a stream commit any more: a miss could lie behind it."""
        if stream in self._scopes and not self._recovery_only and stream not in self._barred:
            self._barred[stream] = why
            self._staged.pop(stream, None)
            self._held_back.pop(stream, None)
            self.keep_old(stream, why)

    def keep_old(self, stream: str, why: str) -> None:
        """Refuse the latest checkpoint of a stream; the one before it stays."""
        if not self._recovery_only:
            tally = self._pending.batch.tally(stream)
            tally.state_staged, tally.state_committed = True, False
            self._refuse(stream, why)

    def commit_staged(self, excluding: Collection[str]) -> None:
        """Put the staged checkpoints in the batch, but for the excluded streams and what hangs on them."""
        self.release()
        for parent in self._unreported_parents():
            self.bar(parent, "a stream that declares it as its parent has not said what became of its details")
        barred = {*excluding, *self._barred, *(self.errors.keys() - self._staged.keys())}
        for stream in [one for one in self._staged if not self._streams[one].is_checkpoint]:
            if parents := barred.intersection(self._keepers[stream]):
                self.bar(stream, f"the checkpoint of {', '.join(sorted(parents))} is withheld")
        super().commit_staged(barred)

    def _keep(self, stream: str, cursor: str, covered: Period | None) -> None:
        """A child's checkpoint waits for the next one of a parent, and commits with that."""
        tally = self._pending.batch.tally(stream)
        if not self._streams[stream].is_checkpoint:
            self._stage(stream, cursor, covered)
            tally.state_committed = False
            return
        super()._keep(stream, cursor, covered)
        for child in [one for one in self._staged if stream in self._keepers[one]]:
            super()._keep(child, self._staged.pop(child), None)
            waiting = self._pending.batch.tally(child)
            waiting.state_staged = waiting.state_committed = True

    def _check_is_taken(self, state: State) -> None:
        """A child has a cursor of its own, too."""

    def _unreported_parents(self) -> list[str]:
        """Declared parents with a checkpoint, of whose details a stream in scope says nothing."""
        if not self._is_profile:
            return []
        return [
            parent
            for name in sorted(self._scopes)
            for parent in self._streams[name].parent_streams or []
            if parent in self._staged and parent not in self._reported.get(name, ())
        ]
