"""The page of the operations, for operators."""

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from lake.calendars import count_closes
from lake.errors import DamagedTableError, TableNotFoundError
from lake.tables import BARS, FORECASTS, MODEL_WINDOWS, OUTCOMES, QUALITY_SCORES, REGIMES, STRATEGY_ASSIGNMENTS, TABLES
from serving import history
from serving.monitoring.run_history import run_history
from serving.pages.routes.frame import Visit
from serving.pages.views import operations as views
from serving.pages.views.panels import panel_of

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

    from lake.spec import TableSpec

EACH_CLOSE = (BARS, QUALITY_SCORES, REGIMES, MODEL_WINDOWS, FORECASTS, OUTCOMES, STRATEGY_ASSIGNMENTS)
"""Tables that have a row of every close once it was worked on: one that lacks it is stale."""


def show(request: "Request") -> "Response":
    """Show which checks fail, how fresh the tables are, what drifted, how long answers took, and the endpoint."""
    visit = Visit.of(request)
    tables, at = visit.tables, visit.as_of.instant
    settings = visit.dashboard.settings
    return visit.page(
        "operations.html",
        "Operations",
        service=panel_of(lambda: views.service_state(visit.client.status())),
        checks=panel_of(lambda: views.checks_view(run_history(settings), visit.dashboard.market.command("ui"))),
        freshness=views.freshness_lines(list(map(partial(_state, visit), TABLES))),
        latency=panel_of(lambda: views.latency_lines(history.latency_of(tables, at))),
        drift=views.drift_lines(history.drift_of(tables, at)),
        others=(
            ("Dagster", f"http://127.0.0.1:{settings.ui_port}", "quantlake ui", "runs, checks, schedules, lineage"),
            ("MLflow", f"http://127.0.0.1:{settings.mlflow_port}", "quantlake mlflow", "training runs and registry"),
        ),
    )


def _state(visit: Visit, spec: "TableSpec") -> views.TableState:
    """Describe a table as it stands now; one that is damaged counts as one without rows, and `doctor` tells more."""
    state = views.TableState(spec.name, spec.layer, spec.meaning, is_due_each_close=spec in EACH_CLOSE)
    try:
        report = visit.tables.reader.report(spec)
    except (TableNotFoundError, DamagedTableError):
        return state
    last, now = report.last, visit.dashboard.now()
    closes = None if last is None else count_closes(last, now, visit.dashboard.market.grid)
    return replace(state, rows=report.rows, version=report.version, last=last, closes_old=closes)
