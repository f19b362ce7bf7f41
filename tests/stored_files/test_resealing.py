"""Stored files brought to the form that the settings ask for: under the newest key, encrypted, or back in the clear."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pdpp_worker.errors import ConfigurationError
from pdpp_worker.settings import Settings
from pdpp_worker.stored_files import clear_trees, file_forms, replacing, resealing
from pdpp_worker.stored_files.resealing import Resealed
from tests.stored_files.conftest import NEW, OLD, SECRET, Host

FILES = {f"{number}/{name}": SECRET * number for number in range(3) for name in ("one", "two")}


def fill(host: Host, key: str = OLD, *, encrypts: bool = True) -> None:
    """Store files."""
    for path, content in FILES.items():
        host.store(key, encrypts=encrypts).write(path, content)


def held(host: Host, *keys: str) -> dict[str, bytes]:
    """All files, as they open with these keys."""
    store = host.store(*keys)
    paths = [str(path.relative_to(host.root)) for path in clear_trees.files_below(host.root)]
    return {path: store.read(path) for path in paths}


def test_the_old_key_of_files_is_needed_no_more(host: Host) -> None:
    fill(host)

    outcome = resealing.reseal(host.settings(NEW, OLD))

    assert outcome == Resealed(rewritten=len(FILES))
    assert held(host, NEW) == FILES


def test_a_second_time_there_is_nothing_to_do(host: Host) -> None:
    fill(host)
    resealing.reseal(host.settings(NEW, OLD))
    before = {path: path.stat().st_ino for path in host.root.rglob("*")}

    assert resealing.reseal(host.settings(NEW, OLD)) == Resealed()
    assert {path: path.stat().st_ino for path in host.root.rglob("*")} == before


def test_files_that_an_earlier_version_left_in_the_clear_are_encrypted(host: Host) -> None:
    fill(host, encrypts=False)
    assert SECRET in host.on_disk()

    assert resealing.reseal(host.settings(NEW)).rewritten == len(FILES)

    assert SECRET not in host.on_disk()
    assert held(host, NEW) == FILES


def test_where_the_setting_is_off_clear_files_stay_and_encrypted_ones_get_the_new_key(host: Host) -> None:
    fill(host)
    host.store(encrypts=False).write("clear", SECRET)

    resealing.reseal(host.settings(NEW, OLD, encrypts=False))

    assert (host.root / "clear").read_bytes() == SECRET
    assert held(host, NEW) == {**FILES, "clear": SECRET}
    assert file_forms.is_sealed(host.root / "1/one")


def test_back_in_the_clear_every_program_reads_them(host: Host) -> None:
    fill(host)

    assert resealing.open_all(host.settings(OLD, encrypts=False)) == Resealed(rewritten=len(FILES))

    assert {path: (host.root / path).read_bytes() for path in FILES} == FILES


def test_they_are_not_brought_back_while_the_fleet_goes_on_encrypting(host: Host) -> None:
    fill(host)

    with pytest.raises(ConfigurationError, match="Unset PDPP_ENCRYPT_FILES first"):
        resealing.open_all(host.settings(OLD))

    assert SECRET not in host.on_disk()


def test_one_that_cannot_be_opened_is_named_and_kept_and_holds_up_nothing(host: Host) -> None:
    fill(host)
    damaged = host.root / "1/one"
    damaged.write_bytes(raw := damaged.read_bytes()[:-1])

    outcome = resealing.reseal(host.settings(NEW, OLD))

    assert outcome.rewritten == len(FILES) - 1
    assert [why.partition(":")[0] for why in outcome.left] == [f"{damaged} cannot be opened"]
    assert damaged.read_bytes() == raw


def test_files_that_are_being_used_are_left_for_later(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resealing, "_WAIT_S", 0.05)
    fill(host)
    store = host.store(NEW, OLD)
    store.open_directory()

    assert resealing.reseal(host.settings(NEW, OLD)).left == ["the files of 7-mine are in use; try again later"]
    store.close()
    assert resealing.reseal(host.settings(NEW, OLD)).left == []


def test_a_file_that_is_written_meanwhile_is_not_put_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(host)
    to_disk = replacing.to_disk

    def while_it_waits(directory: Path) -> None:
        host.store(NEW).write("1/one", b"newer")
        host.store(NEW).remove("1/two")
        to_disk(directory)

    monkeypatch.setattr(replacing, "to_disk", while_it_waits)
    resealing.reseal(host.settings(NEW, OLD))

    assert held(host, NEW) == {
        **{path: content for path, content in FILES.items() if path != "1/two"},
        "1/one": b"newer",
    }


def killed_at(step: int, work: Callable[[Settings], object], settings: Settings) -> bool:
    """Do the work in another process that is killed at one of its steps on the disk; whether it came so far."""
    if (child := os.fork()) == 0:
        with pytest.MonkeyPatch.context() as patch:
            steps = iter(range(step))
            for owner, name in ((file_forms, "new_file"), (replacing, "to_disk"), (Path, "replace"), (Path, "unlink")):
                patch.setattr(owner, name, _killing(getattr(owner, name), steps))
            work(settings)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _killing(call: Callable[..., object], steps: Iterator[int]) -> Callable[..., object]:
    def counted(*arguments: object, **named: object) -> object:
        if next(steps, None) is None:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)

    return counted


@pytest.mark.process
@pytest.mark.parametrize(
    ("work", "before", "encrypts"),
    [(resealing.reseal, True, True), (resealing.reseal, False, True), (resealing.open_all, True, False)],
    ids=["another key", "into the encrypted form", "back into the clear"],
)
def test_killed_at_any_step_no_file_is_lost_and_the_next_call_goes_on(
    host: Host, monkeypatch: pytest.MonkeyPatch, work: Callable[[Settings], Resealed], before: bool, encrypts: bool
) -> None:
    monkeypatch.setattr(replacing, "MOST_FILES", 3)
    monkeypatch.setattr(clear_trees, "_STALE_S", -1.0)
    settings, step = host.settings(NEW, OLD, encrypts=encrypts), 0
    fill(host, encrypts=before)

    while killed_at(step, work, settings):
        assert held(host, NEW, OLD) == FILES
        work(settings)
        assert work(settings) == Resealed()
        assert {path.name for path in host.root.rglob("*") if path.is_file()} == {"one", "two"}
        assert (SECRET in host.on_disk()) is not encrypts
        shutil.rmtree(host.root)
        fill(host, encrypts=before)
        step += 1

    assert step > 3 * len(FILES)
