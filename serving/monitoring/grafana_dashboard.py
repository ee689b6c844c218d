"""The Grafana dashboard as values; ``python -m serving.monitoring.grafana_dashboard`` writes `dashboard.json`."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FILE = FOLDER / "dashboard.json"

SCHEMA_VERSION = 41
"""Of Grafana 12's dashboards."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
SERVED = '{route="/api/v1/public/predict"}'
OF_MODEL = "{{model}} {{horizon_sessions}}"
WIDTH, HEIGHT, COLUMNS = 8, 7, 3


@dataclass(frozen=True)
class DashboardPanel:
    """One panel.

    Parameters
    ----------
    title, meaning
        What it shows, in a few words and in a sentence.
    unit
        Grafana's name of the unit.
    queries
        Expressions by legend.
    kind
        Grafana's name of the kind of panel.
    """

    title: str
    meaning: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"


def _quantile(share: float, name: str, by: str = "", where: str = "") -> str:
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({labels}) (rate({name}_bucket{where}[$__rate_interval])))"


def _rate(selector: str, by: str = "") -> str:
    return f"sum {f'by ({by}) ' if by else ''}(rate({selector}[$__rate_interval]))"


def _share(part: str, whole: str) -> str:
    return f"{_rate(part)} / {_rate(whole)}"


NOW = (
    DashboardPanel("Ready", "1 while a forecast can be made.", "none", {"": "min(quantlake_ready)"}, "stat"),
    DashboardPanel("Workers", "Processes that answer.", "none", {"": "sum(quantlake_workers)"}, "stat"),
    DashboardPanel(
        "Age of the features",
        "Sessions that have closed since that of the newest model input.",
        "none",
        {"sessions": "max(quantlake_features_age_sessions)"},
        "stat",
    ),
)
REQUESTS = (
    DashboardPanel(
        "Requests by status",
        "Requests a second.",
        "reqps",
        {"{{status}}": _rate("quantlake_request_seconds_count", "status")},
    ),
    DashboardPanel(
        "Latency of one forecast",
        "From a request's arrival to its answer, on disk included.",
        "s",
        {
            f"p{share * 100:g}": _quantile(share, "quantlake_request_seconds", where=SERVED)
            for share in (0.5, 0.95, 0.99)
        },
    ),
    DashboardPanel(
        "Refused and failed",
        "Answers that are problems, by kind; what each means is at /problems.",
        "reqps",
        {"{{problem}} ({{status}})": _rate("quantlake_problems_total", "problem, status")},
    ),
    DashboardPanel(
        "Stages, p95",
        "Where a micro-batch spends its time.",
        "s",
        {"{{stage}}": _quantile(0.95, "quantlake_stage_seconds", "stage")},
    ),
    DashboardPanel(
        "Engines, p95",
        "Time of one engine call.",
        "s",
        {"{{model}}": _quantile(0.95, "quantlake_engine_seconds", "model")},
    ),
    DashboardPanel(
        "Forecasts computed together",
        "Size of the micro-batches: it grows with the load.",
        "none",
        {
            "mean": _share("quantlake_batch_rows_sum", "quantlake_batch_rows_count"),
            "p95": _quantile(0.95, "quantlake_batch_rows"),
        },
    ),
)
FORECASTS = (
    DashboardPanel(
        "Forecasts by model",
        "Forecasts on disk a second, by what computed them and kind.",
        "cps",
        {"{{model}} {{kind}}": _rate("quantlake_forecasts_total", "model, kind")},
    ),
    DashboardPanel(
        "Forecasts by strategy",
        "The selected strategy of each forecast.",
        "cps",
        {"{{strategy}}": _rate("quantlake_forecasts_total", "strategy")},
    ),
    DashboardPanel(
        "Degraded forecasts",
        "Answered from the copy in memory, by what Redis did.",
        "cps",
        {"{{reason}}": _rate("quantlake_degraded_forecasts_total", "reason")},
    ),
    DashboardPanel(
        "Online store mended",
        "Values that did not verify a second, by view; times it was filled again; restarts of the embedded server.",
        "none",
        {
            "unverified {{view}}": _rate("quantlake_online_unverified_total", "view"),
            "repairs": "sum(increase(quantlake_online_repairs_total[5m]))",
            "restarts": "max(quantlake_redis_restarts)",
        },
    ),
    DashboardPanel(
        "Hit rate of the newest forecasts",
        "Share of predictions/latest that the cache answered.",
        "percentunit",
        {"cache": _share('quantlake_latest_total{source="cache"}', "quantlake_latest_total")},
    ),
    DashboardPanel(
        "Waiting for the lake",
        "Forecasts on disk that are not in the tables yet.",
        "none",
        {"rows": "max(quantlake_log_waiting_rows)", "in quarantine": "max(quantlake_log_quarantined_rows)"},
    ),
    DashboardPanel(
        "Oldest forecast not in the lake",
        "Age of the oldest forecast that waits for the drain.",
        "s",
        {"age": "max(quantlake_log_oldest_waiting_seconds)"},
    ),
    DashboardPanel(
        "Size of the forecast log",
        "Its files with their write-ahead logs; pruned rows are reused or given back.",
        "bytes",
        {"bytes": "max(quantlake_log_bytes)"},
    ),
    DashboardPanel(
        "Requests with a limit",
        "By where they were counted: shared is Redis.",
        "reqps",
        {"{{counted}}": _rate("quantlake_limited_requests_total", "counted")},
    ),
)
TRUTH = (
    DashboardPanel(
        "Mean absolute error",
        "Of the medians whose outcome is known, last 60 sessions, as a share of the price.",
        "percentunit",
        {OF_MODEL: "max by (model, horizon_sessions) (quantlake_forecast_absolute_error_ratio)"},
    ),
    DashboardPanel(
        "Pinball loss",
        "Of the quantiles whose outcome is known, last 60 sessions, as a share of the price.",
        "percentunit",
        {OF_MODEL: "max by (model, horizon_sessions) (quantlake_forecast_pinball_loss_ratio)"},
    ),
    DashboardPanel(
        "Coverage of the 80 % band",
        "Share of outcomes within p10..p90 of what was answered, last 60 sessions, by regime.",
        "percentunit",
        {"{{regime}} {{horizon_sessions}}": "max by (regime, horizon_sessions) (quantlake_band_coverage_ratio)"},
    ),
)
STANDING = (
    DashboardPanel(
        "Models in service",
        "Each version in service or on trial.",
        "none",
        {"": "max by (model, version, digest, role) (quantlake_model_info) == 1"},
        "table",
    ),
    DashboardPanel(
        "Exchanges and refusals",
        "Sets of models taken up by workers, and versions that they refused.",
        "none",
        {
            "exchanges": "sum(increase(quantlake_model_exchanges_total[$__rate_interval]))",
            "refused {{model}}": "sum by (model) (increase(quantlake_model_refusals_total[$__rate_interval]))",
        },
    ),
    DashboardPanel(
        "Subscribers",
        "Open WebSockets, and updates handed to them a second.",
        "none",
        {
            "open": "sum(quantlake_stream_connections)",
            "updates": _rate("quantlake_stream_updates_total"),
            "dropped": _rate("quantlake_stream_dropped_total"),
        },
    ),
)
BACKUPS = (
    DashboardPanel(
        "Age of the newest backup",
        "Since the newest whole backup was begun; nothing where there is none.",
        "s",
        {"backup": "time() - (max(quantlake_backup_timestamp_seconds) > 0)"},
        "stat",
    ),
    DashboardPanel(
        "Age of the last drill",
        "Since a backup was last restored and found whole; nothing where none ever was.",
        "s",
        {"drill": "time() - (max(quantlake_backup_drill_timestamp_seconds) > 0)"},
        "stat",
    ),
)
WORDS = (
    DashboardPanel(
        "Jobs of explanations",
        "Written explanations a second, by what came of the job.",
        "ops",
        {"{{state}}": _rate("quantlake_explanation_jobs_total", "state")},
    ),
    DashboardPanel(
        "Sentences by verdict",
        "What the checker said of the writers' sentences; everything but passed was dropped.",
        "ops",
        {"{{writer}} {{verdict}}": _rate("quantlake_narrative_sentences_total", "writer, verdict")},
    ),
    DashboardPanel(
        "Writers and search, p95",
        "Time of one writer for one explanation, and of one search for passages.",
        "s",
        {
            "{{writer}}": _quantile(0.95, "quantlake_narrative_seconds", "writer"),
            "search": _quantile(0.95, "quantlake_retrieval_seconds"),
        },
    ),
)
SECTIONS = {
    "Now": NOW,
    "Requests": REQUESTS,
    "Forecasts": FORECASTS,
    "What came of them": TRUTH,
    "Models and subscribers": STANDING,
    "Forecasts in words": WORDS,
    "Backups": BACKUPS,
}


def panels() -> list[DashboardPanel]:
    """Every panel, in order."""
    return [panel for section in SECTIONS.values() for panel in section]


def dashboard() -> dict[str, Any]:
    """Return the dashboard as Grafana's JSON has it."""
    made: list[dict[str, Any]] = []
    top = 0
    for title, section in SECTIONS.items():
        made.append({"type": "row", "title": title, "id": len(made) + 1, "collapsed": False, "panels": []})
        made[-1]["gridPos"] = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        for place, panel in enumerate(section):
            at = {"x": place % COLUMNS * WIDTH, "y": top + 1 + place // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            made.append(_panel(panel, len(made) + 1, at))
        top += 1 + -(-len(section) // COLUMNS) * HEIGHT
    return {
        "uid": "quantlake",
        "title": "quantlake forecasts",
        "description": "What the forecast service does, and what came of its forecasts. Made by serving/monitoring.",
        "tags": ["quantlake"],
        "timezone": "browser",
        "editable": True,
        "fiscalYearStartMonth": 0,
        "schemaVersion": SCHEMA_VERSION,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": [_source_variable()]},
        "annotations": {"list": []},
        "panels": made,
    }


def _source_variable() -> dict[str, Any]:
    """Variable of the dashboard that selects the Prometheus data source."""
    return {"type": "datasource", "name": "source", "label": "Prometheus", "query": "prometheus", "skipUrlSync": False}


def _panel(panel: DashboardPanel, number: int, at: dict[str, int]) -> dict[str, Any]:
    is_series = panel.kind == "timeseries"
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.meaning,
        "transparent": False,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": panel.unit} | ({"min": 0} if is_series else {}), "overrides": []},
        "targets": [
            {
                "refId": chr(ord("A") + place),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend or "__auto",
                "instant": not is_series,
                "range": is_series,
            }
            for place, (legend, expression) in enumerate(panel.queries.items())
        ],
    }


def text() -> str:
    """Return the file's content."""
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
