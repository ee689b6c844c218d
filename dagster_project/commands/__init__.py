"""Commands of `quantlake` that need more than a line, one module per topic; `dagster_project.cli` lists them all.

`run`, `demo` and `advance` run the asset graph, give `results` and print `summaries`, before the first time a `plan`;
`update` times it. `predict`, `recommend`, `explain`, `words`, `importance`, `sql`, `market`, `sources`, `quality`,
`drift`, `features`, `lake`, `models`, `portfolio`, `backtest`, `forecasts`, `replay`, `leaks`, `doctor`, `desk`,
`paper_desk`, `alerts`, `risk`, `backup`, `keys`, `audit`, `setting_list` and `user_data` are commands over plain
functions.
"""

__all__ = [
    "advance",
    "alerts",
    "audit",
    "backtest",
    "backup",
    "demo",
    "desk",
    "doctor",
    "drift",
    "explain",
    "features",
    "forecasts",
    "importance",
    "keys",
    "lake",
    "leaks",
    "ledger",
    "market",
    "models",
    "paper_desk",
    "plan",
    "portfolio",
    "predict",
    "quality",
    "recommend",
    "replay",
    "results",
    "risk",
    "roster",
    "run",
    "setting_list",
    "shell",
    "sources",
    "sql",
    "summaries",
    "update",
    "user_data",
    "words",
]
