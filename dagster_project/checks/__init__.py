"""Asset checks, and the checks of `quantlake doctor`.

`tables` holds a table to its expectations, `leaks` to what was known then, `parity` the online store to the lake, and
`replay` stored forecasts to what is computed again. `health` examines a home, without Dagster.
"""

__all__ = ["health", "leaks", "parity", "replay", "tables"]
