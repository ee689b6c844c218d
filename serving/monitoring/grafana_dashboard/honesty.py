"""Board of honesty: what came of forecasts, and whether explanations hold."""

from serving.monitoring.grafana_dashboard.panels import OF_MODEL, Board, DashboardPanel, quantile, rate, share

OUTCOMES = (
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
    DashboardPanel(
        "Skill against naive",
        "1 - pinball loss / naive's, same closes, last 60 sessions; chance may explain it while 0 is between its ends.",
        "percentunit",
        {
            OF_MODEL: "max by (model, horizon_sessions) (quantlake_skill_against_naive_ratio)",
            f"{OF_MODEL} {{{{limit}}}}": "max by (model, horizon_sessions, limit) "
            "(quantlake_skill_against_naive_limit_ratio)",
        },
        has_negative=True,
    ),
    DashboardPanel(
        "Coverage by model",
        "Share of outcomes within p10..p90, last 250 outcomes of each symbol, with its interval; 80 % is promised.",
        "percentunit",
        {
            OF_MODEL: "max by (model, horizon_sessions) (quantlake_forecast_coverage_ratio)",
            f"{OF_MODEL} {{{{limit}}}}": "max by (model, horizon_sessions, limit) "
            "(quantlake_forecast_coverage_limit_ratio)",
        },
    ),
    DashboardPanel(
        "What they rest on",
        "Outcomes behind the coverage, and sessions behind the skill (60 where it is whole).",
        "none",
        {
            f"outcomes {OF_MODEL}": "max by (model, horizon_sessions) (quantlake_forecast_coverage_outcomes)",
            f"sessions {OF_MODEL}": "max by (model, horizon_sessions) (quantlake_skill_against_naive_sessions)",
        },
        "table",
    ),
)
EXPLANATIONS = (
    DashboardPanel(
        "Explanations in numbers, p95",
        "Until the explanation is on disk; cached ones were computed before.",
        "s",
        {
            "{{method}} {{depth}} cached {{is_cached}}": quantile(
                0.95, "quantlake_explanation_seconds", "method, depth, is_cached"
            )
        },
    ),
    DashboardPanel(
        "Largest additivity error",
        "How far base value and contributions are from what was forecast, as a share of the price, p99.",
        "none",
        {"error": quantile(0.99, "quantlake_explanation_additivity_error")},
    ),
    DashboardPanel(
        "Dropped sentences",
        "Share of the writers' sentences that failed the check.",
        "percentunit",
        {
            "dropped": share(
                'quantlake_narrative_sentences_total{verdict!="passed"}', "quantlake_narrative_sentences_total"
            )
        },
    ),
    DashboardPanel(
        "Passages of the future",
        "Passages that were not known yet at the time asked about, in an hour; none should be found.",
        "none",
        {"found": "sum(increase(quantlake_retrieval_future_hits_total[1h]))"},
        "stat",
    ),
    DashboardPanel(
        "Jobs of explanations",
        "Written explanations a second, by what came of the job.",
        "ops",
        {"{{state}}": rate("quantlake_explanation_jobs_total", "state")},
    ),
    DashboardPanel(
        "Sentences by verdict",
        "What the checker said of the writers' sentences; everything but passed was dropped.",
        "ops",
        {"{{writer}} {{verdict}}": rate("quantlake_narrative_sentences_total", "writer, verdict")},
    ),
    DashboardPanel(
        "Writers and search, p95",
        "Time of one writer for one explanation, and of one search for passages.",
        "s",
        {
            "{{writer}}": quantile(0.95, "quantlake_narrative_seconds", "writer"),
            "search": quantile(0.95, "quantlake_retrieval_seconds"),
        },
    ),
)
HONESTY = Board(
    "honesty",
    "Whether forecasts held what they promised, and explanations are what they claim to be.",
    {"What came of forecasts": OUTCOMES, "Explanations": EXPLANATIONS},
)
