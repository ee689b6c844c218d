"""Alerts of Prometheus's rules come in here, handed on by an Alertmanager."""

from fastapi import FastAPI, Request

from serving import api
from serving.alerting import alert_of, raise_alerts


def add_routes(app: FastAPI) -> None:
    """Add them to an application."""

    @app.post("/api/v1/internal/alerts", tags=["operators"])
    def take_alerts(body: api.HookRequest, request: Request) -> api.AlertsTaken:
        """Write the alerts of an Alertmanager's web hook into the book of alerts, from which they are delivered."""
        taken = [
            alert_of(each.status, each.labels, each.annotations, each.startsAt, each.endsAt) for each in body.alerts
        ]
        new = raise_alerts(request.app.state.predictor.logged.configured.home, taken)
        return api.AlertsTaken(taken=len(taken), new=new)
