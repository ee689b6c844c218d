"""What a model reads: materialisation into the online store, reads from it, and training frames."""

import json
import time
from contextlib import redirect_stdout
from datetime import UTC, datetime
from io import StringIO

from filelock import FileLock

from feature_repo.catalog import FEATURES_TECHNICAL
from feature_repo.online import OnlineBatch, OnlineReader
from feature_repo.redis_server import connect, running_redis
from feature_repo.registry import apply, feature_store
from feature_repo.training_frames import TrainingFrame, training_frame
from lake.report import Report
from lake.settings import Settings
from lake.store import Lake
from lake.tables import MODEL_WINDOWS, REGIMES, STRATEGY_ASSIGNMENTS

__all__ = ["OnlineBatch", "OnlineReader", "TrainingFrame", "apply", "feature_store", "materialize", "training_frame"]

BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
SERVED = (FEATURES_TECHNICAL, REGIMES, MODEL_WINDOWS, STRATEGY_ASSIGNMENTS)
STAMP = "quantlake:materialized"
"""Redis key that says from what, and up to when, the server was filled: it is lost with what it vouches for."""
WRITE_SECONDS = 10.0


def materialize(lake: Lake, settings: Settings, until: datetime) -> Report:
    """Put the newest values known at an instant into the online store, starting the embedded Redis if none runs.

    Parameters
    ----------
    until
        Market time; rows that happened or became known later are left out.

    Returns
    -------
    Report
        `rows` counts the symbols that can be served; skipped when the server already holds these table versions.
    """
    started = time.perf_counter()
    versions = lake.versions([spec for spec in SERVED if lake.exists(spec)])
    stamp = json.dumps({"until": until.astimezone(UTC).isoformat(), "versions": versions}, sort_keys=True)
    with running_redis(settings) as url, connect(url, WRITE_SECONDS) as server:
        is_done = server.get(STAMP) == stamp.encode()
        if not is_done:
            apply(settings)
            with FileLock(settings.feast / "registry.lock", timeout=120), redirect_stdout(StringIO()):
                feature_store(settings, url=url, tables=lake.root).materialize(BEGINNING, until)
            server.set(STAMP, stamp)
        rows = len(OnlineReader(settings).symbols())
    report = Report("online_store", rows=rows, added=0 if is_done else rows, last=until, skipped=is_done)
    report = report.having(seconds=time.perf_counter() - started, table_versions=versions)
    return report.having(reason="the server already holds these table versions") if is_done else report
