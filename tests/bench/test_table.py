"""The table of the benchmarks: ours first, ratios within a round, and what was skipped says so."""

from __future__ import annotations

from bench.table import OURS, Way, lines_of, skipped


def shown(*ways: Way) -> list[list[str]]:
    """The cells of the table, line by line."""
    return [list(cells) for cells in lines_of(ways)]


def test_each_peer_stands_behind_ours_with_the_median_ratio_of_its_rounds() -> None:
    ways = [
        Way("job", by, number, seconds)
        for by, taken in (("peer", (2, 6, 4)), (OURS, (4, 6, 2)))
        for number, seconds in enumerate(taken)
    ]

    assert shown(*ways) == [["job", OURS, "4.0", "", "", "", ""], ["", "peer", "4.0", "1.00", "", "", ""]]


def test_memory_is_the_highest_of_the_rounds() -> None:
    ways = [Way("job", OURS, number, 1.0, 0.5, 2**20 * (number + 1)) for number in range(3)]

    assert shown(*ways)[0][4:6] == ["0.500", "3"]


def test_what_cannot_run_here_is_said_to_be_skipped() -> None:
    ways = [Way("job", OURS, 0, 1.0), skipped("job", "peer", "it is not installed")]

    assert shown(*ways)[1] == ["", "peer", "", "", "", "", "skipped: it is not installed"]


def test_a_time_below_a_second_is_told_to_a_thousandth() -> None:
    ways = [Way("job", OURS, 0, 0.0432, 1.26), Way("job", "peer", 0, 12.04, 0.004)]

    assert [line[2::2][:2] for line in shown(*ways)] == [["0.043", "1.3"], ["12.0", "0.004"]]
