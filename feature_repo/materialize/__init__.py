"""Feature tables brought up to date: only what changed is computed again.

- `update`: one function per table, each with the report of what it stored.
- `incremental`: which rows a new, late or restated bar touches, and their computation.
- `recent_rows`: the cache of the last rows of every symbol between two updates; `totals`: that of what every session
  adds up to over all symbols.
- `expectations`: a stored table checked against its declaration (imports Great Expectations).
"""

from feature_repo.materialize.recent_rows import RECENT_BAR_COLUMNS
from feature_repo.materialize.update import (
    update_group,
    update_group_as_configured,
    update_labels,
    update_regimes,
    update_technical,
    update_windows,
)

__all__ = [
    "RECENT_BAR_COLUMNS",
    "expectations",
    "update_group",
    "update_group_as_configured",
    "update_labels",
    "update_regimes",
    "update_technical",
    "update_windows",
]
