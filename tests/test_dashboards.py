"""Pictures and alarms ask only for what is there: each statement runs, and each metric is one that workers tell."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase
from sqlalchemy import text

from pdpp_worker import metrics
from pdpp_worker.store.engine import Database
from pdpp_worker.store.views.fleet_views import NUMBERS

GRAFANA = Path(__file__).parents[1] / "docker" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "fleet.json").read_text())
ALARMS: list[dict[str, Any]] = yaml.safe_load((GRAFANA / "provisioning" / "alerting" / "pdpp.yaml").read_text())[
    "groups"
][0]["rules"]
SOURCES = {
    one["uid"]
    for one in yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "pdpp.yaml").read_text())["datasources"]
}
MODELS = [target for panel in DASHBOARD["panels"] for target in panel["targets"]] + [
    {**data["model"], "datasource": {"uid": data["datasourceUid"]}}
    for rule in ALARMS
    for data in rule["data"]
    if data["datasourceUid"] != "__expr__"
]
QUERIES = sorted({model["rawSql"] for model in MODELS if "rawSql" in model})
EXPRESSIONS = sorted({model["expr"] for model in MODELS if "expr" in model})


@pytest.mark.parametrize("query", QUERIES)
def test_every_statement_runs(db: Database, query: str) -> None:
    plain = query.replace("$__timeGroup(ended_at, $__interval)", "date_trunc('hour', ended_at)")
    plain = plain.replace("$__timeFilter(ended_at)", "ended_at > now() - interval '1 day'")

    with db.begin() as connection:
        connection.execute(text(plain)).all()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_is_told(expression: str) -> None:
    told = {number.metric for number in NUMBERS} | {
        f"{one._name}_total" if one._type == "counter" else one._name
        for one in vars(metrics).values()
        if isinstance(one, MetricWrapperBase)
    }

    assert set(re.findall(r"pdpp_\w+", expression)) <= told


def test_every_source_of_data_is_provided() -> None:
    assert {model["datasource"]["uid"] for model in MODELS} == SOURCES


def test_panels_do_not_lie_on_each_other() -> None:
    cells = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]

    assert len(cells) == len(set(cells))


def test_no_two_alarms_share_a_name() -> None:
    assert len({rule["uid"] for rule in ALARMS}) == len(ALARMS) == 5
