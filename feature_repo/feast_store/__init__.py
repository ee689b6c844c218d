"""Feast over the lake: its registry, its offline and online store, and what models are trained on.

- `registry`: `apply` brings the registry to what is declared, `feature_store` opens Feast's store.
- `training_frames`: every session with the features that were known at its close.
- `locations`: where the registry and the tables lie, for the `feast` command as for our own code.
- `objects`: everything the registry holds (entities, sources, views, services).
- `quick_import`: what makes importing Feast take half of the time.
- `offline_store`, `online_store`, `registry_store`, `delta_source`: the classes that `feature_store.yaml` names.

Importing this folder does not import Feast; `objects` and the classes of the stores do.
"""

from feature_repo.feast_store.locations import REPO, store_settings
from feature_repo.feast_store.point_in_time import point_in_time_join
from feature_repo.feast_store.quick_import import skip_type_checks
from feature_repo.feast_store.registry import apply, feature_store
from feature_repo.feast_store.training_frames import TrainingFrame, training_frame

skip_type_checks()  # nothing above imports Feast

__all__ = [
    "REPO",
    "TrainingFrame",
    "apply",
    "delta_source",
    "feature_store",
    "objects",
    "point_in_time_join",
    "store_settings",
    "training_frame",
]
