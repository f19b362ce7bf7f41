"""The interpreter changes hands at once while commits are under way, and as usual after the last one."""

from __future__ import annotations

import sys

from pdpp_worker.runtime.quick_turns import QuickTurns


def test_the_usual_interval_is_back_after_the_last_of_several_commits() -> None:
    turns, usual_s = QuickTurns(), sys.getswitchinterval()

    with turns.for_a_commit():
        with turns.for_a_commit():
            during_both_s = sys.getswitchinterval()
        during_one_s = sys.getswitchinterval()

    assert during_both_s == during_one_s < usual_s
    assert sys.getswitchinterval() == usual_s
