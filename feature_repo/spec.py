"""What a feature is: a value with a name, a function and everything a reader or a check needs to know about it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import polars as pl

from feature_repo.compute import COLUMNS
from feature_repo.compute.kernel import SOURCES, Kernel, digest
from lake.disk import digest_of_sources
from lake.errors import ConfigError, UnknownNameError
from lake.horizons import INTERVALS
from lake.spec import Column, TableSpec
from lake.tables import EVENT_TIME, KNOWN_TIME, RECOMPUTED, SYMBOL


@dataclass(frozen=True)
class Feature:
    """One feature of one bar, declared once; the table, the Feast schema, the docs and the leak checks derive from it.

    Parameters
    ----------
    name, unit, formula, meaning
        As a reader of the docs would want them. `P` is the adjusted close, `V` the volume, `r` the one-bar return.
    function
        Kernel over the bars of **one** symbol in order of time. It may look back and never ahead.
    inputs
        Columns that fill the arrays of the function, in its order; see `feature_repo.compute`.
    parameters
        Values of its numbers, in its order.
    lookback
        Bars needed for the first value, the bar itself included.
    null_rule
        When the value is null, beyond the bars before `lookback`.
    warm_up
        Bars after which a history cut off at its beginning gives the value of the full one to a relative 1e-9; by
        default `lookback`, and longer where a recursion remembers its start.
    source
        Where the formula was published, where it is not common knowledge.
    minimum, maximum
        Inclusive bounds of a possible value.
    is_scale_free
        Whether the value says nothing about the level of the price, so that a model may see it.
    intervals
        Intervals of bars that it is valid for; on a market of another one it is null throughout.
    """

    name: str
    function: Kernel
    inputs: tuple[str, ...]
    lookback: int
    unit: str
    formula: str
    meaning: str
    parameters: tuple[int | float, ...] = ()
    null_rule: str = "never after the first value"
    warm_up: int = 0
    source: str = ""
    minimum: float | None = None
    maximum: float | None = None
    is_scale_free: bool = True
    intervals: tuple[str, ...] = INTERVALS

    def __post_init__(self) -> None:
        """Refuse a declaration that its function cannot answer."""
        for name in self.inputs:
            if name not in COLUMNS:
                raise UnknownNameError(f"input of feature '{self.name}'", name, list(COLUMNS))
        asked, given = (self.function.arrays, self.function.numbers), (len(self.inputs), len(self.parameters))
        if asked != given:
            raise ConfigError(
                f"Feature '{self.name}' gives {given[0]} inputs and {given[1]} parameters, and its function "
                f"'{self.function.name}' takes {asked[0]} and {asked[1]}. Name one column per array and one value per "
                "number."
            )
        if self.lookback < 1:
            raise ConfigError(f"Feature '{self.name}' declares a lookback of {self.lookback} bars; the smallest is 1.")
        object.__setattr__(self, "warm_up", max(self.warm_up, self.lookback))

    @property
    def column(self) -> Column:
        """The feature as a column of its table."""
        return Column(
            self.name,
            pl.Float64(),
            self.unit,
            f"{self.meaning}: {self.formula}",
            nullable=True,
            minimum=self.minimum,
            maximum=self.maximum,
        )


@dataclass(frozen=True)
class FeatureGroup:
    """Features that are computed together and share a table.

    Parameters
    ----------
    name
        The table is ``features_<name>``.
    is_online
        Whether the newest row of each symbol is kept in the online store.
    """

    name: str
    meaning: str
    features: tuple[Feature, ...]
    is_online: bool = False

    def __iter__(self) -> Iterator[Feature]:
        """The features in the order of the table's columns."""
        return iter(self.features)

    @cached_property
    def table(self) -> TableSpec:
        """Where the group is kept: a row per symbol and session."""
        return TableSpec(
            name=f"features_{self.name}",
            tolerance=RECOMPUTED,
            layer="features",
            meaning=self.meaning,
            key=("symbol", "event_time"),
            by_year=True,
            columns=(SYMBOL, EVENT_TIME, KNOWN_TIME, *(feature.column for feature in self.features)),
        )

    @property
    def lookback(self) -> int:
        """Bars until the last of the features has its first value."""
        return max(feature.lookback for feature in self.features)

    @property
    def warm_up(self) -> int:
        """Bars after which none of the features remembers where the history began."""
        return max(feature.warm_up for feature in self.features)

    @property
    def recipe(self) -> list[object]:
        """What the values follow from besides the bars; another recipe, other values.

        Sources of kernels that are declared outside of `feature_repo.compute` are part of it.
        """
        declared = [[f.name, f.function.name, list(f.inputs), list(f.parameters), f.warm_up] for f in self.features]
        return [digest(), *declared, *_sources_outside(self.features)]


def _sources_outside(features: Iterable[Feature]) -> list[str]:
    """Hashes of the files of kernels outside of `feature_repo.compute`, whose own sources `digest` covers."""
    files = {Path(feature.function.python.__code__.co_filename) for feature in features}
    return [digest_of_sources([path]) for path in sorted(files) if SOURCES not in path.parents and path.exists()]
