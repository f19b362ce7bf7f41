"""Troubles of the connector's own program: it floods, eats memory or hangs, from an answer on that tells it to."""

from __future__ import annotations

TROUBLE = "trouble"
"""Member of an answer that names what the program does next."""
TROUBLES = ("floods_messages", "floods_errors", "eats_memory", "hangs")
_MAIN = 'if __name__ == "__main__":'
_CODE = f"""
import resource
import signal


def floods_messages():
    while True:
        say({{"type": "PROGRESS", "message": "nothing new"}})


def floods_errors():
    while True:
        os.write(2, b"E" * 1000 + b"\\n")


def eats_memory():
    resource.setrlimit(resource.RLIMIT_AS, (512 << 20, 512 << 20))  # where a container would end it
    held = []
    while True:
        held.append(bytearray(16 << 20))


def hangs():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        time.sleep(60)


asked = get


def get(path):
    answer = asked(path)
    if "{TROUBLE}" in answer:
        globals()[answer["{TROUBLE}"]]()
    return answer


"""


def able_to_go_wrong(program: str) -> str:
    """The text of the connector's program, which goes wrong where an answer tells it to."""
    before, main, after = program.partition(_MAIN)
    return before + _CODE + main + after
