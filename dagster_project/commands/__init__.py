"""Commands of `quantlake` that need more than a line, one module per topic; `dagster_project.cli` lists them all.

`run`, `demo` and `advance` run the asset graph and print `summaries`, before the first time a `plan`; `update` times
it. `predict`, `sql`, `market`, `sources`, `quality`, `drift`, `features`, `lake`, `models`, `forecasts`, `replay`,
`leaks`, `doctor`, `backup`, `keys`, `audit`, `setting_list`, `user_data` and
`words` are commands over plain functions.
"""

__all__ = [
    "advance",
    "audit",
    "backup",
    "demo",
    "doctor",
    "drift",
    "features",
    "forecasts",
    "keys",
    "lake",
    "leaks",
    "market",
    "models",
    "plan",
    "predict",
    "quality",
    "replay",
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
