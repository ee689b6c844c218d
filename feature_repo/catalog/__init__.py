"""Every feature as a value, by group. Tables, the Feast schema, the docs and the leak checks derive from this list.

A group of this package is a file of this folder and an entry in `PACKAGED`; groups of one's own come from the modules
that `QUANTLAKE_FEATURE_GROUPS` names, see `feature_repo.catalog.entries`.
"""

from feature_repo.catalog.alpha158 import ALPHA158
from feature_repo.catalog.calendar import CALENDAR
from feature_repo.catalog.conditional_volatility import CONDITIONAL_VOLATILITY
from feature_repo.catalog.cross_asset import CROSS_ASSET
from feature_repo.catalog.entries import groups_of, require_whole
from feature_repo.catalog.fractal import FRACTAL
from feature_repo.catalog.range_volatility import RANGE_VOLATILITY
from feature_repo.catalog.spectral import SPECTRAL
from feature_repo.catalog.technical import TECHNICAL
from feature_repo.catalog.volume import VOLUME
from feature_repo.spec import Feature, FeatureGroup
from lake.errors import UnknownNameError
from lake.settings import feature_modules
from lake.spec import TableSpec
from lake.tables import LABELS, TABLES

__all__ = [
    "ALPHA158",
    "CALENDAR",
    "CONDITIONAL_VOLATILITY",
    "CROSS_ASSET",
    "FEATURES_TECHNICAL",
    "FRACTAL",
    "GROUPS",
    "MODEL_FEATURES",
    "PACKAGED",
    "RANGE_VOLATILITY",
    "SPECS",
    "SPECTRAL",
    "TECHNICAL",
    "VOLUME",
    "family_of",
    "feature_of",
    "group_of",
    "require_whole",
    "spec_of",
]

PACKAGED: tuple[FeatureGroup, ...] = (
    TECHNICAL,
    VOLUME,
    RANGE_VOLATILITY,
    SPECTRAL,
    FRACTAL,
    CROSS_ASSET,
    CALENDAR,
    ALPHA158,
)
"""Groups of this package, in the order of the docs."""

GROUPS: tuple[FeatureGroup, ...] = require_whole((*PACKAGED, *groups_of(feature_modules())))
"""All groups; each is a table of its own."""

FEATURES_TECHNICAL = TECHNICAL.table

MODEL_FEATURES: tuple[str, ...] = tuple(feature.name for feature in TECHNICAL if feature.is_scale_free)
"""What a model may see, in the order of its input."""

SPECS: tuple[TableSpec, ...] = tuple(
    spec for table in TABLES for spec in ((*(group.table for group in GROUPS), table) if table is LABELS else (table,))
)
"""Every table of the platform, those of features included, in the order the data flows."""


def spec_of(table: str) -> TableSpec:
    """Return the table of that name.

    Raises
    ------
    UnknownNameError
        If there is none; lists the nearest names.

    Examples
    --------
    >>> spec_of("features_technical").key
    ('symbol', 'event_time')
    """
    for spec in SPECS:
        if spec.name == table:
            return spec
    raise UnknownNameError("table", table, [spec.name for spec in SPECS])


def group_of(name: str) -> FeatureGroup:
    """Return the feature group of that name; an unknown one raises `UnknownNameError` with the nearest names.

    Examples
    --------
    >>> group_of("calendar").table.name
    'features_calendar'
    """
    for group in GROUPS:
        if group.name == name:
            return group
    raise UnknownNameError("feature group", name, [group.name for group in GROUPS])


def feature_of(name: str) -> tuple[FeatureGroup, Feature]:
    """Return the feature of that name and its group; an unknown one raises `UnknownNameError` with the nearest.

    Examples
    --------
    >>> group, feature = feature_of("rsi_14")
    >>> group.name, feature.lookback, feature.warm_up
    ('technical', 15, 420)
    """
    for group in GROUPS:
        for feature in group:
            if feature.name == name:
                return group, feature
    raise UnknownNameError("feature", name, [feature.name for group in GROUPS for feature in group])


def family_of(name: str) -> str:
    """Return the kind of thing that a feature measures.

    ``expected_volatility`` for the forecasts of volatility that scale a model's quantiles; for any other feature the
    module of `feature_repo.compute` that its kernel is in. The features of a model come from one group, so that
    explanations group them by this. An unknown name raises `UnknownNameError` with the nearest.

    Examples
    --------
    >>> family_of("rsi_14"), family_of("return_5d"), family_of("volatility_garch")
    ('momentum', 'returns', 'expected_volatility')
    """
    _, feature = feature_of(name)
    if feature in CONDITIONAL_VOLATILITY:
        return "expected_volatility"
    return feature.function.python.__module__.rpartition(".")[2]
