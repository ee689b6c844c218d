"""Named selections of the one asset graph: commands, schedules and sensors run one of these by name."""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import dagster as dg

from dagster_project.assets import TRAINING

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

MAINTENANCE, DRILL, IMPORTANCE = "table_maintenance", "backup_drill", "feature_importance"
"""Assets of a week, which no run of a session makes."""


@dataclass(frozen=True)
class NamedSelection:
    """A part of the asset graph under a name.

    Parameters
    ----------
    name
        Name of its job in Dagster.
    assets
        What is materialised, and which checks run; the order follows from the graph.
    purpose
        What it is for.
    """

    name: str
    assets: dg.AssetSelection
    purpose: str

    @cached_property
    def job(self) -> "UnresolvedAssetJobDefinition":
        """The job that materialises it."""
        return dg.define_asset_job(self.name, selection=self.assets, description=self.purpose)


def _assets(*names: str) -> dg.AssetSelection:
    return dg.AssetSelection.assets(*names)


EVERYTHING = NamedSelection(
    "everything",
    dg.AssetSelection.all() - _assets(MAINTENANCE, DRILL, IMPORTANCE),
    "From the sources to the strategy in force. `quantlake demo` runs it.",
)
DAILY_UPDATE = NamedSelection(
    "daily_update",
    EVERYTHING.assets - dg.AssetSelection.groups(TRAINING) - _assets("served_models"),
    "One more session: bars, features, forecasts, outcomes, selection. Trains nothing. `quantlake advance`, the "
    "schedule after the close and the sensor on raw batches run it.",
)
_NEW_ROWS = dg.AssetSelection.groups("sources", "lake", "features") - _assets(
    "feature_parity", MAINTENANCE, DRILL, "raw_macro", "macro"
)
"""Economic series are left out: no feature is computed from them yet."""
UPDATE = NamedSelection(
    "update",
    (_NEW_ROWS | _assets("forecasts")).without_checks(),
    "New bars to features, forecasts and the online store, as quickly as it can be done: no checks, no feedback. "
    "`quantlake update` runs it, for all years at once.",
)
HISTORY = NamedSelection(
    "history",
    (_NEW_ROWS - _assets("regimes", "model_windows", "online_store")).without_checks(),
    "Bars, features and labels: what models are first fitted on. `quantlake update --symbols` runs it on its market.",
)
NIGHTLY_REPLAY = NamedSelection(
    "nightly_replay", _assets("replayed_forecasts"), "A sample of the newest forecasts, made again and compared."
)
WEEKLY_MAINTENANCE = NamedSelection("weekly_maintenance", _assets(MAINTENANCE), "Compaction, clean-up of logs, vacuum.")
WEEKLY_BACKUP_DRILL = NamedSelection(
    "weekly_backup_drill",
    _assets(DRILL),
    "A backup into QUANTLAKE_BACKUPS, restored into a scratch folder and looked at as a whole.",
)
WEEKLY_IMPORTANCE = NamedSelection(
    "weekly_importance", _assets(IMPORTANCE), "What each feature is good for, measured on the newest matured sessions."
)
SELECTIONS = (
    EVERYTHING,
    DAILY_UPDATE,
    UPDATE,
    HISTORY,
    NIGHTLY_REPLAY,
    WEEKLY_MAINTENANCE,
    WEEKLY_BACKUP_DRILL,
    WEEKLY_IMPORTANCE,
)
