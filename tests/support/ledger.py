"""The items that have to be missing, by all that a connector said and that has become durable."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from tests.support.source import Key, Word


class Ledger:
    """The gaps of one connection, as docs/recovery.md would have them."""

    def __init__(self) -> None:
        self.missing: dict[Key, int] = {}
        """Item to the run that missed it last: its gap is open."""
        self.doubtful: set[Key] = set()
        """Items whose gap may be open or closed: read by a run that had tried it before, or opened by hand."""
        self._refused: set[Key] = set()
        self._handed: dict[int, set[Key]] = {}

    def hand(self, run_id: int, keys: Iterable[Key]) -> None:
        """A run asks for these gaps."""
        self._handed.setdefault(run_id, set()).update(keys)

    def apply(self, run_id: int, words: Iterable[Word]) -> None:
        """Words that have become durable, in their order."""
        for word in words:
            if word.kind == "missed":
                self._miss(run_id, word)
            elif word.kind in ("claimed", "gone"):
                self._close(word.key)
            else:
                self._read(run_id, word)

    def open_by_hand(self, keys: Iterable[Key]) -> None:
        """The owner wants these again, whatever is held."""
        self.doubtful.update(set(keys) - self.missing.keys())

    def pass_by(self, run_id: int, part: Key) -> None:
        """A run has walked a whole stream and passed this part, which it did not miss itself."""
        if self.missing.get(part) != run_id:
            self._close(part)

    def judge(self, unclosed: Collection[Key], let_go: Collection[Key]) -> None:
        """Compare with the gaps of the database; `let_go` are those that are waived, or closed by a setting."""
        wanted = self.missing.keys() - set(let_go)
        assert wanted <= set(unclosed), f"missing, and no gap says so: {sorted(wanted - set(unclosed))}"
        known = self.missing.keys() | self.doubtful
        assert set(unclosed) <= known, f"gaps of what is not missing: {sorted(set(unclosed) - known)}"

    @property
    def handed(self) -> Mapping[int, Collection[Key]]:
        """Run to what it asked for."""
        return self._handed

    def _miss(self, run_id: int, word: Word) -> None:
        self.missing[word.key] = run_id
        self.doubtful.discard(word.key)
        if word.reason == "record_rejected":
            self._refused.add(word.key)

    def _read(self, run_id: int, word: Word) -> None:
        """A whole record of a walk closes what another run missed, and its account what the same one did."""
        key, by = word.key, self.missing.get(word.key)
        if by is None or (by == run_id and word.kind == "read") or (key in self._refused and word.kind == "hydrated"):
            return
        self._close(key)
        if key in self._handed.get(run_id, ()):
            self.doubtful.add(key)

    def _close(self, key: Key) -> None:
        self.missing.pop(key, None)
        self.doubtful.discard(key)
        self._refused.discard(key)
