"""A Singer tap that plays a script: messages, and a few words of its own, such as {"sleep": 1}."""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def play(step: dict[str, Any], state: object) -> None:
    if "sleep" in step:
        time.sleep(step["sleep"])
    elif "while_not_empty" in step:
        while Path(step["while_not_empty"]).stat().st_size:
            time.sleep(0.05)
    elif "helper" in step:
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep({step['helper']})"])
    elif "raw" in step:
        sys.stdout.write(step["raw"] + "\n")
    elif "echo" in step:
        sys.stdout.write(json.dumps({"type": "STATE", "value": state}) + "\n")
    else:
        sys.stdout.write(json.dumps(step) + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("config", "catalog", "state"):
        parser.add_argument(f"--{name}", type=Path)
    parser.add_argument("--discover", action="store_true")
    asked = parser.parse_args()
    config = json.loads(asked.config.read_text())
    if asked.discover:
        sys.stdout.write(Path(config["tables"]).read_text())
        return
    state = json.loads(asked.state.read_text()) if asked.state else None
    sys.stderr.write(json.dumps({"handed": state}) + "\n")
    for step in json.loads(Path(config["script"]).read_text()):
        play(step, state)


main()
