"""Where the feature store's parts lie, for the `feast` command as for our own code."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from feature_repo.online import key_path
from lake.settings import Settings, settings

REPO = Path(__file__).parents[1]
"""Folder of `feature_store.yaml`, in which the `feast` command is run."""


def store_settings() -> Settings:
    """Return the settings of the environment, seen from the repository.

    `QUANTLAKE_HOME` decides when it is set. Otherwise the home is `data` beside this package, so that `feast`, run in
    `feature_repo/`, works on the same lake as everything that is run in the folder above.
    """
    if "home" in Settings().model_fields_set:
        return settings()
    return settings().model_copy(update={"home": REPO.parent / "data"})


def home_of_store(config: Any) -> Path:
    """Return the home whose clock tells the market's now, by Feast's configuration of the repository."""
    clock = config.online_store.clock
    return Path(clock).parent if clock else store_settings().home


def repo_config(
    configured: Settings,
    *,
    url: str,
    timeout_ms: int | None = None,
    tables: Path | None = None,
    versions: Mapping[str, int] | None = None,
) -> Any:
    """Read `feature_store.yaml` for one home.

    Parameters
    ----------
    configured
        Settings whose registry and tables are meant.
    url
        Address of a Redis that runs.
    timeout_ms
        Longest wait for each answer of it; the store's own default when None.
    tables
        Folder of the tables, by default that of the settings.
    versions
        Delta versions to read, by table; the newest for a table not named.

    Returns
    -------
    feast.RepoConfig
    """
    import yaml
    from feast.repo_config import RepoConfig

    content = yaml.safe_load((REPO / "feature_store.yaml").read_text(encoding="utf-8"))
    content["registry"]["path"] = str(configured.feast.absolute() / content["registry"]["path"])
    content["offline_store"] |= {"tables": str(tables or configured.tables), "versions": dict(versions or {})}
    content["online_store"] |= {
        "url": url,
        "clock": str(configured.home / "clock.json"),
        "key": str(key_path(configured)),
    } | ({"timeout_ms": timeout_ms} if timeout_ms else {})
    return RepoConfig(**content, repo_path=REPO)
