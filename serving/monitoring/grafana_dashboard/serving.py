"""Board of the serving: requests, forecasts, models, subscribers and the dashboard."""

from serving.monitoring.grafana_dashboard.panels import SERVED, Board, DashboardPanel, quantile, rate, share

REQUESTS = (
    DashboardPanel(
        "Requests by status",
        "Requests a second.",
        "reqps",
        {"{{status}}": rate("quantlake_request_seconds_count", "status")},
    ),
    DashboardPanel(
        "Latency of one forecast",
        "From a request's arrival to its answer, on disk included.",
        "s",
        {
            f"p{share * 100:g}": quantile(share, "quantlake_request_seconds", where=SERVED)
            for share in (0.5, 0.95, 0.99)
        },
    ),
    DashboardPanel(
        "Refused and failed",
        "Answers that are problems, by kind; what each means is at /problems.",
        "reqps",
        {"{{problem}} ({{status}})": rate("quantlake_problems_total", "problem, status")},
    ),
    DashboardPanel(
        "Stages, p95",
        "Where a micro-batch spends its time.",
        "s",
        {"{{stage}}": quantile(0.95, "quantlake_stage_seconds", "stage")},
    ),
    DashboardPanel(
        "Engines, p95",
        "Time of one engine call.",
        "s",
        {"{{model}}": quantile(0.95, "quantlake_engine_seconds", "model")},
    ),
    DashboardPanel(
        "Forecasts computed together",
        "Size of the micro-batches: it grows with the load.",
        "none",
        {
            "mean": share("quantlake_batch_rows_sum", "quantlake_batch_rows_count"),
            "p95": quantile(0.95, "quantlake_batch_rows"),
        },
    ),
)
FORECASTS = (
    DashboardPanel(
        "Forecasts by model",
        "Forecasts on disk a second, by what computed them and kind.",
        "cps",
        {"{{model}} {{kind}}": rate("quantlake_forecasts_total", "model, kind")},
    ),
    DashboardPanel(
        "Recommendations by action",
        "Recommendations on disk a second, by action and by the rule that decided.",
        "cps",
        {"{{action}} ({{reason}})": rate("quantlake_recommendations_total", "action, reason")},
    ),
    DashboardPanel(
        "Latency of a recommendation, p95",
        "From its forecast until it is on disk, contributions included.",
        "s",
        {"p95": quantile(0.95, "quantlake_recommendation_seconds")},
    ),
    DashboardPanel(
        "Forecasts by strategy",
        "The selected strategy of each forecast.",
        "cps",
        {"{{strategy}}": rate("quantlake_forecasts_total", "strategy")},
    ),
    DashboardPanel(
        "Degraded forecasts",
        "Answered from the copy in memory, by what Redis did.",
        "cps",
        {"{{reason}}": rate("quantlake_degraded_forecasts_total", "reason")},
    ),
    DashboardPanel(
        "Hit rate of the newest forecasts",
        "Share of predictions/latest that the cache answered.",
        "percentunit",
        {"cache": share('quantlake_latest_total{source="cache"}', "quantlake_latest_total")},
    ),
    DashboardPanel(
        "Requests with a limit",
        "By where they were counted: shared is Redis.",
        "reqps",
        {"{{counted}}": rate("quantlake_limited_requests_total", "counted")},
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
            "updates": rate("quantlake_stream_updates_total"),
            "dropped": rate("quantlake_stream_dropped_total"),
        },
    ),
)
PAGES = (
    DashboardPanel(
        "Pages, p95",
        "From a request's arrival at the dashboard to the start of its answer, by page.",
        "s",
        {"{{page}}": quantile(0.95, "quantlake_page_seconds", "page")},
    ),
    DashboardPanel(
        "Live pages",
        "Open pages that are told of new forecasts; one more than 100 is refused.",
        "none",
        {"open": "sum(quantlake_page_streams)"},
    ),
    DashboardPanel(
        "Logins",
        "Attempts to log in to the dashboard a second, by result.",
        "cps",
        {"{{result}}": rate("quantlake_logins_total", "result")},
    ),
)
SERVING = Board(
    "serving",
    "What the forecast service does with each request.",
    {"Requests": REQUESTS, "Forecasts": FORECASTS, "Models and subscribers": STANDING, "Dashboard": PAGES},
)
