"""Board for the first look: whether everything goes on, with one panel of each other board."""

from serving.monitoring.grafana_dashboard.honesty import EXPLANATIONS, OUTCOMES
from serving.monitoring.grafana_dashboard.panels import Board, DashboardPanel
from serving.monitoring.grafana_dashboard.pipeline import FEATURES, LOG
from serving.monitoring.grafana_dashboard.serving import REQUESTS

NOW = (
    DashboardPanel("Ready", "1 while a forecast can be made.", "none", {"": "min(quantlake_ready)"}, "stat"),
    DashboardPanel("Workers", "Processes that answer.", "none", {"": "sum(quantlake_workers)"}, "stat"),
    FEATURES[0],
)
GLANCE = (REQUESTS[0], REQUESTS[1], LOG[1], OUTCOMES[2], EXPLANATIONS[0], EXPLANATIONS[2])
RISK = (
    DashboardPanel(
        "Trading switch",
        "0 active, 1 reducing, 2 halted; -1 where nobody has released trading yet.",
        "none",
        {"": "max(quantlake_risk_state)"},
        "stat",
    ),
    DashboardPanel(
        "Limits used",
        "Share of the hard value that is used.",
        "percentunit",
        {"{{limit}}": "max by (limit) (quantlake_limit_used_ratio)"},
    ),
    DashboardPanel(
        "Alerts",
        "That last, by whether somebody took them over.",
        "none",
        {"{{state}}": "max by (state) (quantlake_alerts)"},
    ),
)
OVERVIEW = Board(
    "overview",
    "Whether everything goes on; the other boards say more.",
    {"Now": NOW, "At a glance": GLANCE, "Risk": RISK},
)
