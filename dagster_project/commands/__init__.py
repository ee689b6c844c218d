"""Commands of `quantlake` that need more than a line, one module per topic; `dagster_project.cli` lists them all.

`run`, `demo` and `advance` run the asset graph and print `summaries`; `update` times it. `market`, `sources`,
`quality`, `drift`, `features`, `lake`, `models`, `forecasts`, `replay`, `leaks`, `doctor`, `backup`, `keys`, `audit`
and `user_data` are commands over plain functions.
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
    "quality",
    "replay",
    "run",
    "shell",
    "sources",
    "summaries",
    "update",
    "user_data",
]
