"""The process that `pdpp-worker up` becomes: it keeps the fleet running, and holds nothing else.

python -m pdpp_worker.local.fleet_supervisor PLAN

It runs for as long as the fleet does, so it imports the standard library alone. The descriptors of the plan are open
already; so are the locks by which this process uses the embedded servers, since they outlive its change of program.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from pdpp_worker.local.needs import OnLoss, OnRequest
from pdpp_worker.local.supervisor import ProcessSpec, Supervisor


def become(specs: Sequence[ProcessSpec], data_dir: Path, environment: Mapping[str, str], lock: int) -> NoReturn:
    """Replace this process by the supervisor of these; `lock` is that of `hold_fleet`."""
    plan = {"data_dir": str(data_dir), "lock": lock, "specs": [asdict(spec) for spec in specs]}
    sockets = (getattr(spec.need, "socket", None) for spec in specs)
    for descriptor in (lock, *(one for one in sockets if one is not None)):
        os.set_inheritable(descriptor, True)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, "-m", __name__, json.dumps(plan)], dict(environment))  # noqa: S606


def main(plan: str) -> None:
    """Keep the fleet of a plan running until this process is told to end."""
    told = json.loads(plan)
    os.set_inheritable(told["lock"], False)
    specs = [_spec(**one) for one in told["specs"]]
    Supervisor(specs, Path(told["data_dir"]), lock=told["lock"]).run()
    sys.stdout.write("Stopped.\n")


def _spec(name: str, command: list[str], need: dict[str, Any] | None) -> ProcessSpec:
    kind = OnRequest if need is not None and "file" in need else OnLoss
    return ProcessSpec(name, tuple(command), None if need is None else kind(**need))


if __name__ == "__main__":
    main(*sys.argv[1:])
