"""The only place that makes Feast's `FeatureStore`, and that brings its registry to what is declared."""

import time
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

from filelock import FileLock

from feature_repo.feast_store.locations import repo_config
from feature_repo.online.redis_server import redis_url
from lake.report import Report
from lake.settings import Settings


def feature_store(settings: Settings, **options: Any) -> Any:
    """Return Feast's store for one home; the options are those of `feature_repo.feast_store.locations.repo_config`."""
    from feast import FeatureStore

    return FeatureStore(config=repo_config(settings, **({"url": redis_url(settings)} | options)))


def apply(settings: Settings) -> Report:
    """Bring the registry to what `feature_repo.feast_store.objects` declares, like `feast apply`."""
    from feature_repo.feast_store.objects import OBJECTS

    started = time.perf_counter()
    settings.feast.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.feast / "registry.lock", timeout=120), redirect_stdout(StringIO()):
        feature_store(settings).apply(list(OBJECTS))
    return Report("feast_registry", rows=len(OBJECTS), seconds=time.perf_counter() - started)
