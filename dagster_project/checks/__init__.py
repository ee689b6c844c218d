"""Asset checks, and the checks of `quantlake doctor`.

`tables` holds a table to its expectations, `freshness` to the last close due, `leaks` to what was known then, `parity`
the online store to the lake, and `replay` stored forecasts to what is computed again. `health` examines a home,
without Dagster.
"""

__all__ = ["freshness", "health", "leaks", "parity", "replay", "tables"]
