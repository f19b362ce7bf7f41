"""Expects of a stream that all of its records are new, as long as all of them were."""

from __future__ import annotations

from collections.abc import Sequence

from pdpp_worker.store.batch import RecordRow

WORTHWHILE = 500
"""Rows. Fewer are looked up in less time than it takes to be ready for a mistake."""


class Novelty:
    """The streams of which a slice has met no record yet that was held before.

    A first load would look for every key in vain. Rows that are expected to be new are written without a look. The
    table's own key finds the mistake, which then is the last one of the stream.
    """

    def __init__(self) -> None:
        self._only_new: dict[str, bool] = {}

    def expects(self, stream: str, rows: Sequence[RecordRow]) -> bool:
        """Whether these rows are to be written as new ones, without a look.

        Not where two of them have one key, or where one is about a record that a listing did not hold.
        """
        if not self._only_new.get(stream, False) or len(rows) < WORTHWHILE:
            return False
        return len({row.key for row in rows}) == len(rows) and not any(row.absent for row in rows)

    def learn(self, stream: str, *, are_new: bool) -> None:
        """Take in whether rows of the stream were all new."""
        self._only_new[stream] = self._only_new.get(stream, True) and are_new
