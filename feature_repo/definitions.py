"""The one door that `feast apply` scans: everything the registry holds."""

from typing import Any

from feature_repo.feast_store.batch_sources import SOURCES
from feature_repo.feast_store.entities import market, symbol
from feature_repo.feast_store.services import SERVICES
from feature_repo.feast_store.views import VIEWS

OBJECTS: tuple[Any, ...] = (symbol, market, *SOURCES, *VIEWS, *SERVICES)

# The `feast` command looks at the names of this module and not into what they hold.
globals().update({f"{type(thing).__name__}_{thing.name}": thing for thing in OBJECTS})
