"""Folders that the processes of one endpoint share."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lake.settings import Settings


def bentoml_home(configured: "Settings") -> "Path":
    """Folder of BentoML's own, one for each port: the supervisor empties a part of it that running workers write to."""
    return configured.home / "bentoml" / str(configured.port)


def metrics_folder(configured: "Settings") -> "Path":
    """Folder in which the workers of one endpoint share their metrics; the supervisor empties it at its start."""
    return bentoml_home(configured) / "prometheus_multiproc_dir"
