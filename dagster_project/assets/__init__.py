"""One asset per table or artefact, a module per stage in flow order; a body is one call."""

from dagster_project.assets import (
    backups,
    desk,
    features,
    feedback,
    lake,
    maintenance,
    quality,
    serving,
    sources,
    training,
    trials,
)
from dagster_project.assets.training import GROUP as TRAINING

__all__ = [
    "TRAINING",
    "backups",
    "desk",
    "features",
    "feedback",
    "lake",
    "maintenance",
    "quality",
    "serving",
    "sources",
    "training",
    "trials",
]
