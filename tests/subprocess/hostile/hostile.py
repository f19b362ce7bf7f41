"""A connector that misbehaves as its first argument says."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EMITTED = "2026-01-01T00:00:00Z"
MARK = Path(os.environ["PDPP_FILES_DIR"]) / "pids"


def raw(line: bytes) -> None:
    os.write(1, line)


def say(**message: object) -> None:
    raw(json.dumps(message).encode() + b"\n")


def record(key: str, stream: str = "items", **data: object) -> None:
    say(type="RECORD", stream=stream, key=key, data={"id": key, **data}, emitted_at=EMITTED)


def unread(key: str, value: str) -> None:
    """A record with a value that no library would write."""
    data = f'{{"x":{value}}}'
    raw(f'{{"type":"RECORD","stream":"items","key":"{key}","data":{data},"emitted_at":"{EMITTED}"}}\n'.encode())


def state(cursor: object, stream: str = "items") -> None:
    say(type="STATE", stream=stream, cursor=cursor)


def done(count: int, status: str = "succeeded", **error: object) -> None:
    say(type="DONE", status=status, records_emitted=count, **({"error": error} if error else {}))


def mark(pid: int) -> None:
    with MARK.open("a") as file:
        file.write(f"{pid}\n")


def forever() -> None:
    while True:
        time.sleep(60)


def good() -> None:
    record("a")
    state(1)
    done(1)


def tells_its_rank() -> None:
    record("a", text=Path("/proc/self/oom_score_adj").read_text().strip())
    state(1)
    done(1)


def never_answers() -> None:
    mark(os.getpid())
    forever()


def never_reads() -> None:
    os.close(0)
    good()


def ignores_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    mark(os.getpid())
    record("a")
    forever()


def kills_its_subreaper() -> None:
    mark(os.getpid())
    os.kill(os.getppid(), signal.SIGKILL)
    forever()


def is_a_comet() -> None:
    """Leave a process that becomes another one all the time, for ten seconds at most: the machine has other work."""
    end = time.monotonic() + 10
    if os.fork() == 0:
        os.setsid()
        for descriptor in range(3):
            os.close(descriptor)
        mark(os.getpid())
        while time.monotonic() < end and not os.fork():
            pass
        os._exit(0)
    while not MARK.exists() or not MARK.read_text():
        time.sleep(0.01)
    good()


def speaks_of_many_streams() -> None:
    """Name 20,000 streams in PROGRESS, and 500 in messages that are refused, before a record."""
    lines = []
    for number in range(20_000):
        lines.append(json.dumps({"type": "PROGRESS", "stream": f"stream-{number}", "message": "x", "count": 1}) + "\n")
        if number % 1_000 == 0:
            raw("".join(lines).encode())
            lines = []
    for kind in ("STATE", "SKIP_RESULT", "DETAIL_GAP", "RECORD", "DETAIL_COVERAGE"):
        for number in range(100):
            say(type=kind, stream=f"{kind}-{number}", cursor=1, key="x", data={}, emitted_at=EMITTED, reason="x")
    record("a")
    done(101)


def swells() -> None:
    """Take ever more memory, up to a gigabyte: the machine has other work."""
    record("a")
    held = [b"x" * 1_000_000 for _ in range(1_000)]
    good() if held else None


def fills_the_disk() -> None:
    """Write ever more files, up to 200 MB: the machine has other work."""
    record("a")
    state(1)
    for number in range(100):
        (MARK.parent / f"{number}").write_bytes(b"x" * 2_000_000)
        time.sleep(0.05)
    good()


def swells_in_many() -> None:
    """Leave ten processes, each of which takes little memory; they end by themselves after a minute."""
    record("a")
    for _ in range(10):
        if os.fork() == 0:
            os.setsid()
            mark(os.getpid())
            held = b"x" * 20_000_000
            time.sleep(60 if held else 0)
            os._exit(0)
    time.sleep(60)


def forks_away() -> None:
    """Leave a process in a session of its own, twice removed, that holds on to every pipe."""
    code = "import os, signal, sys, time\nsignal.signal(15, signal.SIG_IGN)\nif os.fork(): sys.exit()\nos.setsid()\n"
    code += f"open({str(MARK)!r}, 'a').write(f'{{os.getpid()}}\\n')\ntime.sleep(600)"
    subprocess.run([sys.executable, "-c", code], check=True)
    while not MARK.exists() or not MARK.read_text():
        time.sleep(0.01)
    good()


def forks_away_and_kills_its_subreaper() -> None:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            mark(os.getpid())
            forever()
        os._exit(0)
    while not MARK.exists() or not MARK.read_text():
        time.sleep(0.01)
    kills_its_subreaper()


def floods() -> None:
    number = 0
    while True:
        number += 1
        record(f"n{number}", text="x" * 1000)


def floods_stderr() -> None:
    for number in range(20_000):
        os.write(2, b"noise %d\n" % number)
    os.write(2, b"x" * 300_000)
    good()


def endless_line() -> None:
    record("a")
    while True:
        raw(b"x" * 65536)


def long_record() -> None:
    """The long member comes first, as it does where members are sorted by name."""
    record("a")
    say(data={"text": 'x"{[' * 100_000}, emitted_at=EMITTED, key="long", stream="items", type="RECORD")
    record("b")
    state(1)
    done(3)


def long_state() -> None:
    record("a")
    state(["x" * 300_000])
    record("b")
    done(2)


def long_line() -> None:
    record("a")
    raw(b"[" * 300_001 + b"\n")
    state(1)
    done(1)


def half_a_line() -> None:
    record("a")
    raw(b'{"type":"RECORD","stream":"items","ke')


def no_json() -> None:
    record("a")
    raw(b"Starting up...\n")
    record("b")
    state(1)
    done(2)


def bad_text() -> None:
    record("a")
    raw(b'{"type":"RECORD","stream":"items","key":"b","data":{"x":"\xff"},"emitted_at":"%s"}\n' % EMITTED.encode())
    state(1)
    done(2)


def odd_values() -> None:
    record("a")
    for key, value in (("nan", "NaN"), ("infinity", "-Infinity"), ("surrogate", '"\\ud800"'), ("nul", '"\\u0000"')):
        unread(key, value)
    done(5)


def strange_items() -> None:
    record("a")
    unread("deep", "[" * 5000 + "]" * 5000)
    unread("digits", "9" * 5000)
    unread("\\ud800", '"\\ud800"')
    raw(b'{"type":"RECORD","stream":"items","key":1e999,"data":{},"emitted_at":"2026-01-01T00:00:00Z"}\n')
    deep = "[" * 5000 + "]" * 5000
    gap = f'"stream":"items","record_key":"gone","reason":"timed_out","retryable":true,"detail_locator":{{"x":{deep}}}'
    raw(f'{{"type":"DETAIL_GAP",{gap}}}\n'.encode())
    say(type="PROGRESS", message="\ud800")
    state(1)
    done(5)


def half_pairs() -> None:
    """Halves of surrogate pairs in a key and in a gap's message."""
    record("a")
    raw(b'{"type":"RECORD","stream":"items","key":"a\\ud800b","data":{"id":"1"},"emitted_at":"2026-01-01T00:00:00Z"}\n')
    gap = (
        b'"reason":"upstream_error","message":"\\udc00x","scope":{"resource_id":"r"},"recovery_hint":"retry_by_runtime"'
    )
    raw(b'{"type":"SKIP_RESULT","stream":"items",%b}\n' % gap)
    record("z")
    done(3)


def vast_integer() -> None:
    record("a")
    unread("b", "1" + "0" * 5000)
    done(2)


def lies_about_counts() -> None:
    record("a")
    state(1)
    done(7)


def lies_about_its_end() -> None:
    record("a")
    state(1)
    done(1)
    sys.exit(3)


def fails_with_exit_0() -> None:
    record("a")
    state(1)
    done(1, "failed", message="broken")


def fails() -> None:
    record("a")
    state(1)
    done(1, "failed", message="broken", retryable=True)
    sys.exit(1)


def no_done() -> None:
    record("a")
    state(1)
    sys.exit(9)


def talks_after_done() -> None:
    record("a")
    state(1)
    done(1)
    record("b")


def stays_after_done() -> None:
    mark(os.getpid())
    record("a")
    state(1)
    done(1)
    forever()


def outside_the_scope() -> None:
    record("a")
    record("b", stream="elsewhere")
    state(1)
    done(2)


def one_wrong_among_many() -> None:
    for number in range(5000):
        record(f"a{number}")
    say(type="RECORD", stream="items", key=True, data={}, emitted_at=EMITTED)
    for number in range(5000):
        record(f"b{number}", stream="others")
    state(1)
    state(2, "others")
    done(10_001)


def speaks_something_else() -> None:
    mark(os.getpid())
    record("a")
    for _ in range(1001):
        say(type="SCHEMA", stream="items")
    forever()


def fails_and_breaks_rules() -> None:
    record("a")
    say(type="STATE", stream="items", cursor=1, covered="ever")
    done(0, "failed", message="the password is wrong", recovery_hint="refresh_credentials")
    sys.exit(1)


def asks_for_help() -> None:
    """Waits in silence for longer than it may, for an owner who acts elsewhere."""
    say(
        type="ASSISTANCE", assistance_request_id="1", message="Confirm it", timeout_seconds=30, response_contract="none"
    )
    time.sleep(2)
    say(type="ASSISTANCE_STATUS", assistance_request_id="1", status="resolved")
    good()


def asks_for_pages() -> None:
    say(type="DETAIL_GAPS_PAGE_REQUEST", request_id="p", reference_only=True)
    record("answer", answer=json.loads(sys.stdin.readline()))
    done(1)


def certified_failure() -> None:
    record("a")
    state(1)
    state(2, "others")
    say(type="SKIP_RESULT", stream="others", reason="stream_collection_failed", recovery_hint="retry_by_runtime")
    done(1, "failed", code="stream_collection_failed", message="others failed")
    sys.exit(1)


def tells_secrets() -> None:
    token = os.environ["TOKEN"]
    os.write(2, f"signed in with {token}\n".encode())
    done(0, "failed", message=f"{token} was refused")
    sys.exit(1)


def shows_environment() -> None:
    record("environment", names=sorted(os.environ), arguments=sys.argv, start=START)
    done(1)


def spies() -> None:
    """Try to read what is the fleet's and other connections', and tell what was had."""
    tried = json.loads(os.environ["TRIED"])
    had: dict[str, object] = {path: read(Path(path)) for path in tried["files"]}
    had |= {path: knocks(path) for path in tried["sockets"]}
    had |= {f"environment of {pid}": read(Path(f"/proc/{pid}/environ")) for pid in (os.getppid(), *tried["processes"])}
    had |= {f"memory of {pid}": read(Path(f"/proc/{pid}/maps")) for pid in tried["processes"]}
    every = b"".join(filter(None, map(read_bytes, Path("/proc").glob("[0-9]*/environ"))))
    had["any environment"] = "other-connection" in every.decode(errors="replace")
    own = {"uid": os.getuid(), "groups": os.getgroups(), "home": os.environ["HOME"], "tmp": tempfile.mkdtemp()}
    status = dict(line.partition(":")[::2] for line in Path("/proc/self/status").read_text().splitlines())
    own |= {name: status[name].strip() for name in ("CapEff", "CapPrm", "NoNewPrivs")}
    Path(os.environ["HOME"], "kept").write_text("mine")
    record("loot", had={name: one for name, one in had.items() if one}, own=own)
    done(1)


def read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def read(path: Path) -> str:
    return read_bytes(path).decode(errors="replace")[:100] or ", ".join(names_in(path))


def names_in(path: Path) -> list[str]:
    try:
        return sorted(one.name for one in path.iterdir())
    except OSError:
        return []


def knocks(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as one:
        return one.connect_ex(path) == 0


def reaches_the_network() -> None:
    with socket.socket() as one:
        record("network", error=one.connect_ex(("127.0.0.1", int(os.environ["PORT"]))))
    done(1)


def asks() -> None:
    say(type="INTERACTION", request_id="1", kind="otp", message="The code that was sent to you")
    answer = json.loads(sys.stdin.readline())
    os.write(2, f"was told {answer}\n".encode())
    record("answer", status=answer["status"], length=len(answer.get("data", {}).get("code", "")))
    done(1)


def asks_twice() -> None:
    question = b'{"type":"INTERACTION","request_id":"%d","kind":"otp","message":"Code"}\n'
    raw(question % 1 + question % 2)
    forever()


START = sys.stdin.readline() if sys.argv[1] not in ("never_answers", "never_reads") else ""
globals()[sys.argv[1]]()
