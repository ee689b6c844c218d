"""The module that `feast apply` scans: every object of the registry, by name."""

from feature_repo.feast_store.objects import OBJECTS

__all__ = ["OBJECTS"]

# The `feast` command looks at the names of this module and not into what they hold.
globals().update({f"{type(thing).__name__}_{thing.name}": thing for thing in OBJECTS})
