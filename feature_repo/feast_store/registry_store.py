"""Feast's registry file, kept under the home of everything generated."""

import os
from pathlib import Path

from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig

from feature_repo.feast_store.locations import store_settings


class HomeRegistryStore(FileRegistryStore):
    """A registry in a file whose relative path starts at `settings.feast` instead of at `feature_repo/`.

    The file is replaced as a whole, so that a reader beside a writer never finds half of it.
    """

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:  # noqa: ARG002 - Feast's signature
        self._path = store_settings().feast / registry_config.path
        super().__init__(registry_config, self._path.parent)

    def update_registry_proto(self, registry_proto: Registry) -> None:
        """Write the registry through Feast into a file beside it, then put that in its place."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(f".{os.getpid()}.new")
        self._filepath = fresh
        try:
            super().update_registry_proto(registry_proto)
        finally:
            self._filepath = self._path
        fresh.replace(self._path)
