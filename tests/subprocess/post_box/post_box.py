"""Collects an exported post box as connectors of the profile do. Knows nothing of pdpp-worker.

The export is a folder of JSON files: `letters/ID.json`, each with `text`, perhaps `pages` (a list, or null while they
cannot be read), `stamp` and `scan` (text to upload).
"""

import hashlib
import http
import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

SENT = {"RECORD": 0}


def say(kind: str, **message: object) -> None:
    SENT[kind] = SENT.get(kind, 0) + 1
    sys.stdout.write(json.dumps({"type": kind, **message}) + "\n")


def record(stream: str, key: object, data: dict[str, object]) -> None:
    say("RECORD", stream=stream, key=str(key), data=data, emitted_at="2026-03-02T08:00:00")


def upload(letter: int, content: bytes) -> dict[str, object] | None:
    """Store a blob; the answer is what the record refers to, or none where there is no room for it."""
    query = {
        "connector_id": os.environ["PDPP_CONNECTOR_ID"],
        "connector_instance_id": os.environ["PDPP_CONNECTOR_INSTANCE_ID"],
        "stream": "letters",
        "record_key": str(letter),
    }
    request = urllib.request.Request(  # noqa: S310 - the run's own endpoint
        f"{os.environ['PDPP_RS_URL']}/v1/blobs?{urllib.parse.urlencode(query)}",
        data=content,
        headers={"authorization": f"Bearer {os.environ['PDPP_OWNER_TOKEN']}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310 - likewise
            blob = json.load(answer)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.INSUFFICIENT_STORAGE:
            raise
        return None
    if blob["sha256"] != hashlib.sha256(content).hexdigest():
        raise ValueError("the blob is not what was sent")
    return {name: blob[name] for name in ("blob_id", "mime_type", "size_bytes", "sha256")}


def page(letter: int, given: dict[str, object], gap: dict[str, object] | None) -> str:
    """Read the pages of a letter; returns which set of keys the letter belongs to."""
    if given.get("pages") is None:
        detail = {"record_key": letter, "parent_stream": "letters", "reason": "temporary_unavailable"}
        names = {} if gap is None else {"gap_id": gap["gap_id"], "lease_id": gap["lease_id"]}
        say("DETAIL_GAP", stream="pages", status="pending", detail_locator={"letter": letter}, **detail, **names)
        return "gap_keys"
    record("pages", letter, {"id": letter})
    if gap is not None:
        say("DETAIL_GAP_RECOVERED", gap_id=gap["gap_id"], stream="pages", record_key=letter, reference_only=True)
    return "hydrated_keys"


def main() -> None:
    start = json.loads(sys.stdin.readline())
    with (Path(os.environ["PDPP_CONNECTOR_ARTIFACT_ROOT"]) / "starts").open("a") as file:
        trigger = os.environ["PDPP_RUN_TRIGGER_KIND"]
        file.write(json.dumps({**start, "trigger": trigger}) + "\n")
    state = start["state"] or {}
    seen, stamps = state.get("letters", {}).get("newest", 0), state.get("stamps", {}).get("count", 0)
    gaps = {one["record_key"]: one for one in start["detail_gaps"] if one["status"] == "pending"}
    unkept = {int(one["record_key"]) for one in start["detail_gaps"] if one["stream"] == "letters"}
    keys: dict[str, list[int]] = {"hydrated_keys": [], "gap_keys": []}
    for path in sorted(Path(os.environ["POST_BOX_DIR"]).glob("letters/*.json")):
        letter = int(path.stem)
        if letter <= seen and letter not in {*gaps, *unkept}:
            continue
        try:
            given = json.loads(path.read_text())
        except ValueError:
            say("SKIP_RESULT", stream="letters", reason="json_parse_error", diagnostics={"id": str(letter)})
            continue
        if letter in gaps:
            say(
                "DETAIL_GAP_ATTEMPTED",
                **{name: gaps[letter][name] for name in ("gap_id", "lease_id", "stream")},
                reference_only=True,
            )
        else:
            scan = upload(letter, given["scan"].encode()) if given.get("scan") else None
            record("letters", letter, {"id": letter, "text": given["text"], "scan": scan})
        keys[page(letter, given, gaps.get(letter))].append(letter)
        if given.get("stamp"):
            stamps += 1
            record("stamps", given["stamp"], {"id": given["stamp"]})
        seen = max(seen, letter)
    required = keys["hydrated_keys"] + keys["gap_keys"]
    say("DETAIL_COVERAGE", reference_only=True, stream="pages", state_stream="letters", required_keys=required, **keys)
    say("STATE", stream="stamps", cursor={"count": stamps})
    say("STATE", stream="letters", cursor={"newest": seen})
    say("DONE", status="succeeded", records_emitted=SENT["RECORD"])
    sys.stdout.flush()
    sys.stdin.read()


main()
