"""Boards as Grafana's JSON has them."""

from typing import Any

from serving.monitoring.grafana_dashboard.panels import Board, DashboardPanel

SCHEMA_VERSION = 41
"""Of Grafana 12's dashboards."""
SOURCE = {"type": "prometheus", "uid": "${source}"}
WIDTH, HEIGHT, COLUMNS = 8, 7, 3


def dashboard(board: Board) -> dict[str, Any]:
    """Return a board as Grafana's JSON has it."""
    made: list[dict[str, Any]] = []
    top = 0
    for title, section in board.sections.items():
        made.append({"type": "row", "title": title, "id": len(made) + 1, "collapsed": False, "panels": []})
        made[-1]["gridPos"] = {"x": 0, "y": top, "w": WIDTH * COLUMNS, "h": 1}
        for place, panel in enumerate(section):
            at = {"x": place % COLUMNS * WIDTH, "y": top + 1 + place // COLUMNS * HEIGHT, "w": WIDTH, "h": HEIGHT}
            made.append(_panel(panel, len(made) + 1, at))
        top += 1 + -(-len(section) // COLUMNS) * HEIGHT
    return {
        "uid": board.uid,
        "title": f"quantlake {board.name}",
        "description": f"{board.meaning} Made by serving/monitoring.",
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
    begins_at_zero = is_series and not panel.has_negative
    return {
        "type": panel.kind,
        "id": number,
        "title": panel.title,
        "description": panel.meaning,
        "transparent": False,
        "datasource": SOURCE,
        "gridPos": at,
        "fieldConfig": {"defaults": {"unit": panel.unit} | ({"min": 0} if begins_at_zero else {}), "overrides": []},
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
