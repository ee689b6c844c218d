"""Everything that Feast's registry holds: entities, sources, views and services."""

from typing import Any

from feature_repo.feast_store.batch_sources import SOURCES
from feature_repo.feast_store.entities import market, symbol
from feature_repo.feast_store.services import SERVICES
from feature_repo.feast_store.views import VIEWS

OBJECTS: tuple[Any, ...] = (symbol, market, *SOURCES, *VIEWS, *SERVICES)
