"""Dashboard, alerts and scrape configuration: read by the parsers of their readers, and true to the metrics."""

import copy
import json
import re
import shutil
import subprocess
from pathlib import Path

import promql_parser
import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from pydantic import BaseModel, ConfigDict

from serving.access.policy import RULES
from serving.api.problem_kinds import KINDS
from serving.monitoring import grafana_dashboard, metrics
from serving.monitoring.document import page_with_table
from serving.monitoring.metrics import METRICS, PREFIX

FOLDER = Path(grafana_dashboard.__file__).parents[1]
BOARDS = grafana_dashboard.BOARDS
OVERVIEW = BOARDS[0]
ALERTS, SCRAPE = FOLDER / "alerts.yaml", FOLDER / "prometheus.yaml"
PAGE = Path(__file__).parents[2] / "docs" / "operations.md"
ADDED = {"le"}
"""Labels that Prometheus' own kinds add."""
OF_PROMETHEUS = {"up": {"job"}}


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Rule(Strict):
    """An alerting rule, as https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/ has it."""

    alert: str
    expr: str
    labels: dict[str, str]
    annotations: dict[str, str]


def alerts(text=None):
    return [rule for group in yaml.safe_load(text or ALERTS.read_text())["groups"] for rule in group["rules"]]


def every_board():
    """The panels of all boards, as if they were one."""
    return {"panels": [panel for board in BOARDS for panel in grafana_dashboard.dashboard(board)["panels"]]}


def expressions(dashboard, rules):
    shown = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    return [one.replace("$__rate_interval", "5m") for one in shown] + [rule["expr"] for rule in rules]


def selectors(expression):
    found = []
    promql_parser.walk(
        promql_parser.parse(expression),
        lambda node: found.append(node) if isinstance(node, promql_parser.VectorSelector) else None,
    )
    return found


def labels_used(expression):
    """Labels that an expression groups by or matches."""
    grouped = []

    def visit(node):
        if isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            grouped.extend(node.modifier.labels)

    promql_parser.walk(promql_parser.parse(expression), visit)
    return grouped + [matcher.name for one in selectors(expression) for matcher in one.matchers.matchers]


def problems(dashboard, rules):
    """Everything that an expression names and the service does not give."""
    known = {series: {*metric.labels, *ADDED} for metric in METRICS for series in metric.series} | OF_PROMETHEUS
    found = []
    for expression in expressions(dashboard, rules):
        try:
            named = selectors(expression)
        except ValueError as error:
            found.append(f"{expression}: {error}")
            continue
        found += [f"no metric {one.name}" for one in named if one.name not in known]
        allowed = set().union(*(known.get(one.name, set()) for one in named))
        found += [f"no label {label} in {expression}" for label in labels_used(expression) if label not in allowed]
    return found


def test_every_expression_parses_and_names_what_the_service_gives():
    dashboard = every_board()
    assert len(expressions(dashboard, alerts())) >= 40
    assert problems(dashboard, alerts()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("quantlake_ready)", "quantlake_redy)", "no metric quantlake_redy"),
        ("by (problem)", "by (reason)", "no label reason"),
        ('counted!="shared"', 'where!="shared"', "no label where"),
        ("quantlake_features_age_sessions)", "quantlake_features_age_sessions", "unclosed left parenthesis"),
        ("rate(quantlake_degraded_forecasts_total[5m])", "rate(quantlake_degraded_forecasts_total)", "expected type"),
    ],
)
def test_a_mistake_in_an_alert_is_found(old, new, said):
    text = ALERTS.read_text()
    assert text.count(old) == 1
    assert any(said in one for one in problems({"panels": []}, alerts(text.replace(old, new))))


def test_a_mistake_in_a_panel_is_found():
    dashboard = copy.deepcopy(grafana_dashboard.dashboard(OVERVIEW))
    dashboard["panels"][1]["targets"][0]["expr"] = "min(quantlake_redy)"
    assert problems(dashboard, []) == ["no metric quantlake_redy"]


def test_labels_of_alerts_are_matched_with_values_that_there_are():
    kinds = {kind.slug for kind in KINDS}
    routes = {rule.path for rule in RULES}
    known = {
        "problem": kinds,
        "route": routes,
        "job": {yaml.safe_load(SCRAPE.read_text())["scrape_configs"][0]["job_name"]},
    }
    used = [
        (matcher.name, matcher.value)
        for expression in expressions(every_board(), alerts())
        for one in selectors(expression)
        for matcher in one.matchers.matchers
        if matcher.name in known
    ]
    assert {name for name, _ in used} == set(known)
    assert [(name, value) for name, value in used if value not in known[name]] == []


@pytest.mark.parametrize("board", BOARDS, ids=lambda board: board.name)
def test_each_board_is_the_declared_one_and_grafana_s_types_read_it_whole(board):
    written = json.loads(grafana_dashboard.file_of(board).read_text())
    assert written == grafana_dashboard.dashboard(board), (
        "python -m serving.monitoring.grafana_dashboard writes it anew"
    )
    assert list(lost(written, _through_grafana(written))) == []
    assert len({panel["id"] for panel in written["panels"]}) == len(written["panels"])
    places = [tuple(panel["gridPos"].values()) for panel in written["panels"]]
    assert len(set(places)) == len(places)


def test_the_folder_holds_a_file_for_each_board_and_no_other():
    files = {grafana_dashboard.file_of(board) for board in BOARDS}
    assert set((FOLDER / "boards").iterdir()) == files
    assert len({board.uid for board in BOARDS}) == len(BOARDS) == 4


@pytest.mark.parametrize(("name", "value"), [("titel", "x"), ("targetz", [])])
def test_what_grafana_does_not_know_is_found(name, value):
    written = grafana_dashboard.dashboard(OVERVIEW)
    written["panels"][1] |= {name: value}
    assert [path.rpartition(".")[2] for path in lost(written, _through_grafana(written))] == [name]


def lost(written, read, path=""):
    """Paths of what was written and not read; what the reader adds, its defaults, is no loss."""
    if isinstance(written, dict) and isinstance(read, dict):
        for name, value in written.items():
            yield from lost(value, read.get(name, "nothing"), f"{path}.{name}")
    elif isinstance(written, list) and isinstance(read, list) and len(written) == len(read):
        for place, (value, other) in enumerate(zip(written, read, strict=True)):
            yield from lost(value, other, f"{path}.{place}")
    elif written != read:
        yield path


def _through_grafana(written):
    """Read a dashboard into the types generated from Grafana's own schema, and write it again."""
    register_default_plugins()
    return json.loads(JSONEncoder().encode(Dashboard.from_json(copy.deepcopy(written))))


def test_the_rules_have_the_form_of_prometheus():
    groups = yaml.safe_load(ALERTS.read_text())
    assert list(groups) == ["groups"]
    for group in groups["groups"]:
        assert set(group) == {"name", "rules"}
        for rule in group["rules"]:
            assert promql_parser.parse_duration(rule.pop("for", "1m"))
            Rule.model_validate(rule)
            assert set(rule["annotations"]) == {"summary", "action", "runbook", "board"}
            assert rule["annotations"]["runbook"] == f"docs/operations.md#{rule['alert'].lower()}"
            assert rule["annotations"]["board"] in {f"/d/{board.uid}" for board in BOARDS}
            assert rule["labels"]["owner"] in {"operations", "models"}
            assert rule["labels"]["severity"] in {"page", "ticket"}
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)


def test_the_scrape_configuration_names_the_rules_and_the_route():
    configured = yaml.safe_load(SCRAPE.read_text())
    assert configured["rule_files"] == [ALERTS.name]
    assert configured["scrape_configs"][0]["metrics_path"] in {rule.path for rule in RULES}


def test_metrics_are_named_as_prometheus_asks_and_bounded():
    for metric in METRICS:
        assert metric.name.startswith(PREFIX)
        assert metric.meaning
        assert not set(metric.labels) & {
            "symbol",
            "forecast_id",
            "prediction_id",
            "key",
            "key_id",
            "correlation_id",
            "path",
        }
        assert metric.kind != "histogram" or metric.name.endswith(("_seconds", "_rows", "_error"))
    assert len({metric.name for metric in METRICS}) == len(METRICS)


def test_every_metric_is_shown_or_alerted_on():
    used = {one.name for expression in expressions(every_board(), alerts()) for one in selectors(expression)}
    unseen = {metric.name for metric in METRICS if not set(metric.series) & used}
    assert unseen == {
        "quantlake_features_age_seconds",
        "quantlake_latest_write_failures",
        "quantlake_latest_written",
        "quantlake_matured_forecasts",
        "quantlake_stream_delay_seconds",
    }


def test_the_page_says_what_to_do_about_every_alert():
    page = PAGE.read_text()
    sections = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    assert {rule["alert"] for rule in alerts()} <= sections


def test_the_page_names_the_problems_behind_an_alert_as_they_are():
    section = PAGE.read_text().partition("### QuantlakeUnavailable")[2].partition("###")[0]
    kinds = {kind.slug for kind in KINDS if kind.status == 503}
    assert set(re.findall(r"`([a-z-]+)`", section)) == kinds - {"overloaded", "not-available"}


@pytest.mark.parametrize(
    ("kind", "path"), [("rules", ALERTS), ("config", SCRAPE)], ids=["alert rules", "scrape configuration"]
)
def test_promtool_accepts_it(kind, path):
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed; the parsers above have read the same files")
    done = subprocess.run([promtool, "check", kind, str(path)], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_shows_the_metrics_as_they_are_declared():
    page = PAGE.read_text()
    assert page == page_with_table(page), "python -m serving.monitoring.document writes it anew"
    assert all(f"`{metric.name}`" in page for metric in METRICS)


def test_many_observations_at_once_are_the_same_as_one_by_one():
    amounts = [0.0001, 0.0002, 0.00020001, 0.5, 1.0, 7.0, 0.0]
    one, many = (
        metrics.ManyAtOnce("quantlake_probe", "for a test", buckets=metrics.FAST, registry=None) for _ in range(2)
    )
    for amount in amounts:
        one.observe(amount)
    many.observe_all(amounts)

    def counted(metric):
        return [(s.name, s.labels, s.value) for s in metric.collect()[0].samples if not s.name.endswith("_created")]

    assert counted(many) == counted(one)


def test_what_waits_is_written_whoever_forgets_to(monkeypatch):
    monkeypatch.setattr(metrics.observing, "MOST_WAITING", 3)
    part = metrics.timer(metrics.STAGE_SECONDS, "wait")
    metrics.flush()
    before = part._sum.get()
    for _ in range(2):
        metrics.observe(part, 1.0)
    assert part._sum.get() == before
    metrics.observe(part, 1.0)
    assert part._sum.get() == before + 3
