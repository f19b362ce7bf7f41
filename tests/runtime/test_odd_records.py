"""One odd message costs itself, from any connector: every other record is held, and every odd one is counted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, cast

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pdpp_worker.command.collect import facts_of
from pdpp_worker.command.dialect.forms import Reply
from pdpp_worker.command.dialect.handover import Handover
from pdpp_worker.command.dialect.reader import DialectReader
from pdpp_worker.connector import Context, Interaction, Message, Start
from tests.support.scripted import Scenario, manifest

AT = '"emitted_at":"2026-03-02T00:00:00Z"'
VALUES = (
    *("[" * depth + "]" * depth for depth in (201, 1_000, 100_000)),
    *('{"a":' * depth + "1" + "}" * depth for depth in (201, 20_000)),
    *("9" * digits for digits in (400, 401, 5_000)),
    *("-" + "9" * 5_000, "0." + "1" * 5_000, "1e999", "-1e999", "1e-999", "NaN", "Infinity", "01", "0x10"),
    *(r'"\ud800"', r'"\udfff\ud800"', r'"\u0000"', r'{"\ud800":1}', r'{"\u0000":{"\udc00":0}}'),
    *('{"a":1,"a":2}', '{"__proto__":1}', '{"":1}', '"unclosed', "truth", "\x00", "\x1b[2J", "null", "true", "[]"),
    f'{{"{"k" * 100_000}":1}}',
    "{" + ",".join(f'"p{number}":{number}' for number in range(20_000)) + "}",
)
FORMS = (
    '{"type":"RECORD","stream":"items","key":"odd","data":{"id":"odd","x":%s},' + AT + "}",
    '{"type":"RECORD","stream":"items","key":"odd","data":%s,' + AT + "}",
    '{"type":"RECORD","stream":"items","key":%s,"data":{"id":"odd"},' + AT + "}",
    '{"type":"RECORD","stream":%s,"key":"odd","data":{"id":"odd"},' + AT + "}",
    '{"type":"RECORD","stream":"items","key":"odd","data":{"id":"odd"},"emitted_at":%s}',
    '{"type":"DETAIL_GAP","stream":"items","record_key":"odd","reason":"timed_out","detail_locator":{"page":%s}}',
    '{"type":"DETAIL_GAP","stream":"items","record_key":%s,"reason":"timed_out"}',
    '{"type":"DETAIL_GAP","stream":"items","record_key":"odd","reason":"timed_out","last_error":{"message":%s}}',
    '{"type":"SKIP_RESULT","stream":"items","reason":%s,"diagnostics":{"id":"odd"}}',
    '{"type":"SKIP_RESULT","stream":"items","reason":"odd","message":%s,"diagnostics":{"x":%s}}',
    '{"type":"STATE","stream":"others","cursor":{"n":%s}}',
    '{"type":"PROGRESS","stream":"items","message":%s,"count":%s}',
    '{"type":"INVENTORY","part":%s,"members":[{"kind":"table","name":%s}]}',
    '{"type":%s,"stream":"items"}',
    '{"type":"ASSISTANCE","message":%s}',
    "%s",
)


def good(key: int) -> bytes:
    """A record as it should be."""
    return f'{{"type":"RECORD","stream":"items","key":"k{key}","data":{{"id":"k{key}"}},{AT}}}'.encode()


def collect(scenario: Scenario, lines: list[bytes]) -> dict[str, Any]:
    """A run in which the connector writes these lines."""
    declared = manifest("items", "others", command=["program"])

    def script(start: Start, context: Context) -> Iterator[Message]:
        reader = DialectReader(facts_of(declared, start, context, Handover(start.detail_gaps)))
        for line in lines:
            for item in reader.read(line):
                if not isinstance(item, Reply | Interaction):
                    yield cast("Message", item)

    scenario.reset()
    scenario.install(script, declared)
    return scenario.run()


def check(scenario: Scenario, odd: list[bytes]) -> None:
    """Let these lines come among good records: each of those is held, each of these is counted."""
    lines = [line for number, one in enumerate(odd) for line in (good(number), one)] + [good(len(odd))]

    run = collect(scenario, lines)

    assert run["error"] is None
    assert {f"k{number}" for number in range(len(odd) + 1)} <= set(scenario.held())
    assert run["records_emitted"] == run["records_flushed"] + run["records_unchanged"] + run["records_rejected"]
    counted = run["records_emitted"] + sum(run["messages_refused"].values())
    assert counted >= len(odd) + 1 + sum(_must_be_counted(line) for line in odd)


def _must_be_counted(line: bytes) -> bool:
    """Whether a line is a record, or no message at all: neither may be lost without a trace."""
    try:
        read = json.loads(line, parse_int=str)
    except RecursionError:  # its short members are read all the same
        return b'"type":"RECORD"' in line
    except ValueError:
        return True
    return not isinstance(read, dict) or read.get("type") == "RECORD"


def test_every_odd_value_in_every_place_costs_its_own_message(scenario: Scenario) -> None:
    check(scenario, [form.replace("%s", value).encode() for form in FORMS for value in VALUES])


nested = st.recursive(
    st.sampled_from([value for value in VALUES if len(value) < 6_000]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{','.join(items)}]"),
        st.tuples(st.text(max_size=5), inner).map(lambda pair: f"{{{json.dumps(pair[0])}:{pair[1]}}}"),
    ),
    max_leaves=5,
)
odd_lines = st.builds(lambda form, value: form.replace("%s", value).encode(), st.sampled_from(FORMS), nested)
# Each example is a run on the database; `--hypothesis-profile=long` gives it hundreds.
IS_LONG = settings().max_examples > 100


@given(st.lists(st.one_of(odd_lines, st.binary(max_size=50).filter(lambda raw: b"\n" not in raw)), max_size=8))
@settings(suppress_health_check=list(HealthCheck), max_examples=300 if IS_LONG else 8)
def test_odd_lines_in_any_order_cost_themselves(scenario: Scenario, odd: list[bytes]) -> None:
    check(scenario, odd)
