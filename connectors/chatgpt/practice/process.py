"""The provider as a child process: for the demonstration, the tests and the benchmarks."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, replace
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from connectors.chatgpt.practice.account import Account, Advanced
from connectors.chatgpt.practice.cli import arguments
from connectors.chatgpt.practice.log import LoggedRequest, Stats, request_from_json, stats_from_json
from connectors.chatgpt.practice.options import Change, FaultOptions, ProviderOptions
from connectors.chatgpt.practice.server import HOST
from pdpp_worker.conformance.quota.options import QuotaOptions
from pdpp_worker.connector import ConfigurationError

STOP_TIMEOUT_S = 5.0
CALL_TIMEOUT_S = 60.0
POLL_S = 0.01
IMPORT_ROOT = Path(__file__).parents[3]


class ProviderProcess:
    """Runs the provider between `start` and `stop`, or inside `with`; the child never outlives this process.

    A second start listens on the same port as the first. Raises ConfigurationError when the provider does not come
    up within `start_timeout_s`, or refuses a change that is asked for.
    """

    def __init__(self, options: ProviderOptions | None = None, *, start_timeout_s: float = 60.0) -> None:
        self.options = options or ProviderOptions()
        self._start_timeout_s = start_timeout_s
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the server, without a path."""
        return f"http://{HOST}:{self.options.port}"

    @property
    def base_url(self) -> str:
        """The address of the platform's API."""
        return f"{self.url}/backend-api"

    @property
    def pid(self) -> int | None:
        """The child's process id while it runs."""
        return self._child.pid if self._child else None

    def start(self) -> None:
        """Start the child and wait until it listens."""
        with tempfile.TemporaryDirectory() as directory:
            ready, complaints = Path(directory, "ready.json"), Path(directory, "stderr")
            options = replace(self.options, ready_file=ready, watch_stdin=True)
            with complaints.open("wb") as stderr:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "connectors.chatgpt.practice", *arguments(options)],
                    cwd=IMPORT_ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                )
            if not self._wait_for(ready):
                self.stop()
                said = complaints.read_text(encoding="utf-8", errors="replace").strip() or "It said nothing."
                raise ConfigurationError(f"The practice server did not come up. {said[-2000:]}")
            port = int(json.loads(ready.read_text(encoding="utf-8"))["url"].rpartition(":")[2])
        self.options = replace(self.options, port=port)

    def stop(self) -> None:
        """Stop the child if it runs: politely, then by force."""
        child, self._child = self._child, None
        if child is None:
            return
        child.terminate()
        try:
            child.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdin:
            child.stdin.close()

    def stats(self) -> Stats:
        """The log in figures."""
        return stats_from_json(self._call("GET", "stats"))

    def log(self, since: int = 0) -> list[LoggedRequest]:
        """The requests after number `since`."""
        return [request_from_json(row) for row in self._call("GET", f"log?since={since}")["entries"]]

    def advance(self, change: Change) -> Advanced:
        """Let the account change."""
        touched = self._call("POST", "advance", asdict(change))
        return Advanced(**{name: tuple(ids) for name, ids in touched.items()})

    def shift(self, change: Change, *, after_pages: int) -> None:
        """Let the account change once so many more pages of its lists were given, in the middle of a walk."""
        self._call("POST", "shift", {"change": asdict(change), "after_pages": after_pages})

    def account(self) -> Account:
        """The account as it is now, made again from its options and its changes."""
        account = Account(self.options.seed, self.options.conversations)
        for change in self._call("GET", "changes")["changes"]:
            account.advance(Change(**change))
        return account

    def set_quota(self, options: QuotaOptions) -> None:
        """Begin another quota, with its full allowance."""
        self._call("POST", "quota", asdict(options))

    def set_faults(self, options: FaultOptions) -> None:
        """Choose other faults."""
        self._call("POST", "faults", asdict(options))

    def set_token(self, token: str) -> None:
        """Let only this access token in from now on."""
        self._call("POST", "token", {"token": token})

    def _wait_for(self, ready: Path) -> bool:
        deadline = time.monotonic() + self._start_timeout_s
        while not ready.exists():
            if self._child is None or self._child.poll() is not None or time.monotonic() > deadline:
                return False
            time.sleep(POLL_S)
        return True

    def _call(self, method: str, switch: str, fields: dict[str, Any] | None = None) -> Any:
        connection = HTTPConnection(HOST, self.options.port, timeout=CALL_TIMEOUT_S)
        try:
            connection.request(method, f"/_control/{switch}", json.dumps(fields or {}))
            answer = connection.getresponse()
            body = json.load(answer)
        finally:
            connection.close()
        if answer.status != 200:
            raise ConfigurationError(f"The practice server refused {switch}: {body}")
        return body
