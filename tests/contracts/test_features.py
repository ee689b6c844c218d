"""What every feature must do: each row of the catalog is tested by being there, and each test catches a planted one."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_series_equal

from feature_repo.catalog import GROUPS, SPECS
from feature_repo.compute import COLUMNS
from feature_repo.compute.kernel import Bars, Kernel
from feature_repo.compute.market import as_given
from feature_repo.compute.rolling import seeded_mean
from feature_repo.document import features_page
from feature_repo.engines import compute_group
from feature_repo.feast_store.delta_source import value_type
from feature_repo.spec import Feature, FeatureGroup
from lake.sources import tiny_market
from lake.spec import TableSpec
from lake.universe import MARKET

TOLERANCE = 1e-9
SESSIONS, MARKET_BEFORE = 520, 40
REPLAYED, STARTS = 30, (1, 38)
OPTIONAL = ("open", "high", "low", "volume", "volume_unadjusted")
PRICES = ("open", "high", "low", "close", "close_unadjusted")
VOLUMES = ("volume", "volume_unadjusted")
SCALES = 1e-4
"""A level of the price shows in the first digits; an epsilon that keeps a formula from dividing by zero does not."""


@cache
def market(name: str) -> pl.DataFrame:
    """Bars of two symbols and an index that began before them, as they are or as they may come."""
    bars = tiny_market(["AAA", "BBB", MARKET], SESSIONS + MARKET_BEFORE, seed=17)
    begin = bars["event_time"].unique().sort()[MARKET_BEFORE]
    bars = bars.filter((pl.col("symbol") == MARKET) | (pl.col("event_time") >= begin))
    return MARKETS[name](bars)


def _only_closes(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.with_columns(pl.lit(None, pl.Float64).alias(name) for name in OPTIONAL)


def _still(bars: pl.DataFrame) -> pl.DataFrame:
    """Prices that do not move and nothing that is traded, in the middle third."""
    third = pl.int_range(pl.len()).over("symbol") * 3 // pl.len().over("symbol")
    flat = [pl.when(third == 1).then(20.0).otherwise(name).alias(name) for name in PRICES]
    return bars.with_columns(*flat, *(pl.when(third == 1).then(0.0).otherwise(name).alias(name) for name in VOLUMES))


def _wild(bars: pl.DataFrame) -> pl.DataFrame:
    """One bar a hundred million times as dear as its neighbours."""
    is_wild = pl.int_range(pl.len()).over("symbol") == SESSIONS // 2
    return bars.with_columns(pl.when(is_wild).then(pl.col(name) * 1e8).otherwise(name).alias(name) for name in PRICES)


def _scaled(bars: pl.DataFrame) -> pl.DataFrame:
    """The same market after every symbol has had a reverse split of seven to one."""
    return bars.with_columns(*(pl.col(name) * 7 for name in PRICES), *(pl.col(name) / 7 for name in VOLUMES))


def _holed(bars: pl.DataFrame) -> pl.DataFrame:
    """Bars that are missing here and there, also of the index, and fields that are missing from some bars."""
    random = np.random.default_rng(18)
    kept = bars.filter(pl.Series(random.random(bars.height) < 0.97))
    is_gone = pl.Series(random.random(kept.height) < 0.02)
    return kept.with_columns(pl.when(is_gone).then(None).otherwise(name).alias(name) for name in OPTIONAL)


def _since(start: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
    """The history of the symbols, not of the index, cut off at its beginning."""
    return lambda bars: bars.filter((pl.col("symbol") == MARKET) | (pl.int_range(pl.len()).over("symbol") >= start))


MARKETS: dict[str, Callable[[pl.DataFrame], pl.DataFrame]] = {
    "calm": lambda bars: bars,
    "only_closes": _only_closes,
    "still": _still,
    "wild": _wild,
    "holed": _holed,
    "alone": lambda bars: bars.filter(pl.col("symbol") != MARKET),
    "newborn": lambda bars: bars.group_by("symbol", maintain_order=True).head(MARKET_BEFORE + 1),
    "scaled": _scaled,
    "without_others": lambda bars: bars.filter(pl.col("symbol") != "BBB"),
    "shuffled": lambda bars: bars.sample(fraction=1, shuffle=True, seed=19),
    **{f"since_{start}": _since(start) for start in STARTS},
}
HARD = ("only_closes", "still", "wild", "holed", "alone", "newborn")


@dataclass(frozen=True, eq=False)  # two groups are the same when they are one: to compare 158 features takes its time
class Computed:
    """A group, computed once for all of its features."""

    group: FeatureGroup

    @cache  # noqa: B019 - groups live as long as the tests
    def on(self, name: str) -> dict[str, pl.DataFrame]:
        """The rows of each symbol on one of the markets."""
        return {
            str(key[0]): rows
            for key, rows in compute_group(market(name), self.group).partition_by("symbol", as_dict=True).items()
        }

    @cached_property
    def table(self) -> TableSpec:
        return self.group.table

    @cached_property
    def documented(self) -> str:
        """What the page of features says of the group."""
        _, _, section = features_page().partition(f"\n## {self.table.name}\n")
        return section.partition("\n## ")[0]


def values(group: Computed, feature: Feature, name: str = "calm", symbol: str = "AAA") -> pl.Series:
    return group.on(name).get(symbol, pl.DataFrame(schema={feature.name: pl.Float64}))[feature.name]


@cache
def inputs() -> dict[str, Bars]:
    """Every column that a kernel may read, as the kernels of AAA read it."""
    told = [Feature(name, as_given, (name,), 1, unit="", formula="", meaning="") for name in COLUMNS]
    own = compute_group(market("calm"), told).filter(pl.col("symbol") == "AAA")
    return {name: own[name].fill_null(float("nan")).to_numpy(writable=True) for name in COLUMNS}


def assert_close(ours: pl.Series | Bars, theirs: pl.Series | Bars, tolerance: float = TOLERANCE) -> None:
    """Known at the same bars, and equal relative to a usual value: a difference near zero has no relative error."""
    ours, theirs = (np.asarray(pl.Series(v).fill_null(float("nan"))) for v in (ours, theirs))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    known = ~np.isnan(theirs)
    size = np.maximum(np.abs(theirs[known]), np.median(np.abs(theirs[known])) if known.any() else 0)
    assert (np.abs(ours[known] - theirs[known]) <= tolerance * size).all()


def begins_at_its_lookback(group: Computed, feature: Feature) -> None:
    for symbol in ("AAA", "BBB"):
        known = values(group, feature, symbol=symbol).is_not_null()
        assert not known[: feature.lookback - 1].any()
        assert known[feature.lookback - 1 :].all()


def says_when_it_is_null(group: Computed, feature: Feature) -> None:
    """A rule of "never" is kept on every market, and what reads an unknown column is unknown."""
    if feature.null_rule.startswith("never"):
        for name in HARD:
            for symbol in ("AAA", "BBB"):
                assert values(group, feature, name, symbol)[feature.lookback - 1 :].null_count() == 0, name
    if set(OPTIONAL) & set(feature.inputs):
        assert values(group, feature, "only_closes").null_count() == SESSIONS


def is_finite_or_null(group: Computed, feature: Feature) -> None:
    for name in ("calm", *HARD):
        for symbol in ("AAA", "BBB"):
            assert values(group, feature, name, symbol).drop_nulls().is_finite().all(), name


def keeps_its_bounds(group: Computed, feature: Feature) -> None:
    for name in ("calm", *HARD):
        for symbol in ("AAA", "BBB"):
            known = values(group, feature, name, symbol).drop_nulls()
            assert feature.minimum is None or (known >= feature.minimum).all(), (name, known.min())
            assert feature.maximum is None or (known <= feature.maximum).all(), (name, known.max())


def forgets_its_start_within_its_warm_up(group: Computed, feature: Feature) -> None:
    for start in STARTS:
        shortened = values(group, feature, f"since_{start}")
        assert_close(shortened[feature.warm_up - 1 :], values(group, feature)[start + feature.warm_up - 1 :])


def sees_no_future(group: Computed, feature: Feature) -> None:
    """The value at the last bar of every prefix is the value there with all that came later."""
    columns = [inputs()[name][: feature.lookback + REPLAYED] for name in feature.inputs]
    whole = feature.function(*columns, *feature.parameters)
    ends = range(1, len(whole) + 1)
    replayed = [feature.function(*(column[:end] for column in columns), *feature.parameters)[-1] for end in ends]
    assert_close(np.array(replayed), whole)


def is_free_of_scale_if_it_says_so(group: Computed, feature: Feature) -> None:
    if feature.is_scale_free:
        assert_close(values(group, feature, "scaled"), values(group, feature), SCALES)


def has_a_column_that_feast_can_serve(group: Computed, feature: Feature) -> None:
    assert feature.column in group.table.columns
    assert feature.column.nullable
    assert value_type(feature.column).name == "DOUBLE"
    assert group.table in SPECS
    assert [f.name for g in GROUPS for f in g].count(feature.name) == 1


def has_one_row_in_the_docs(group: Computed, feature: Feature) -> None:
    assert group.documented.count(f"\n| `{feature.name}` |") == 1
    assert all((feature.meaning, feature.formula, feature.unit, feature.null_rule))


def is_compiled_as_written(group: Computed, feature: Feature) -> None:
    columns = [inputs()[name][: feature.lookback + 3] for name in feature.inputs]
    with np.errstate(all="ignore"):
        plain = feature.function.python(*columns, *feature.parameters)
    assert_close(feature.function(*columns, *feature.parameters), plain)


def depends_on_no_other_symbol(group: Computed, feature: Feature) -> None:
    for name in ("without_others", "shuffled"):
        assert_series_equal(values(group, feature, name), values(group, feature), check_exact=True)


Check = Callable[[Computed, Feature], None]
CHECKS: tuple[Check, ...] = (
    begins_at_its_lookback,
    says_when_it_is_null,
    is_finite_or_null,
    keeps_its_bounds,
    forgets_its_start_within_its_warm_up,
    sees_no_future,
    is_free_of_scale_if_it_says_so,
    has_a_column_that_feast_can_serve,
    has_one_row_in_the_docs,
    is_compiled_as_written,
    depends_on_no_other_symbol,
)


COMPUTED = tuple(Computed(group) for group in GROUPS)


@pytest.mark.parametrize(
    ("group", "feature"), [pytest.param(t, f, id=f"{t.group.name}-{f.name}") for t in COMPUTED for f in t.group]
)
def test_every_feature_keeps_every_promise(group: Computed, feature: Feature) -> None:
    for check in CHECKS:
        check(group, feature)


class Plain(Kernel):
    """A kernel that is not compiled, for features that live in a test."""

    def __call__(self, *arguments: Any) -> Bars:
        return self.python(*arguments)

    def over(self, starts: Any, inputs: Sequence[Bars], parameters: Sequence[float], out: Bars) -> None:
        with np.errstate(all="ignore"):
            for i, j in pairwise(starts):
                out[i:j] = self.python(*(column[i:j] for column in inputs), *parameters)


class Other(Plain):
    """A kernel whose compiled form is another function than the one that was written."""

    def __call__(self, *arguments: Any) -> Bars:
        return self.python(*arguments) + 1e-6


def log_price(close: Bars) -> Bars:
    return np.log(close)


def tomorrow(close: Bars) -> Bars:
    return np.append(close[1:] / close[:-1] - 1, 0.0)


def inverse_volume(volume: Bars) -> Bars:
    return 1 / volume


def filled(volume: Bars) -> Bars:
    return np.nan_to_num(volume)


def slow_mean(close: Bars) -> Bars:
    return seeded_mean(close, 0.01, 20, 20) / close


def unknown_when_still(close: Bars) -> Bars:
    return np.where(close == 20, np.nan, close)


seen: list[int] = []


def counts_calls(close: Bars) -> Bars:
    seen.append(len(close))
    return np.full(close.size, float(len(seen)))


def planted(function: Callable[..., Bars], kind: type[Kernel] = Plain, **changes: Any) -> Feature:
    column = "volume" if function in (inverse_volume, filled) else "close"
    words = {"unit": "x", "formula": "x", "meaning": "x", "null_rule": "where it is not known"}
    return replace(Feature("planted", kind(function), (column,), 1, **words), **changes)


def planted_group(feature: Feature) -> Computed:
    return Computed(FeatureGroup("planted", "x", (feature,)))


MUTANTS: dict[Check, Feature] = {
    begins_at_its_lookback: planted(log_price, lookback=2),
    says_when_it_is_null: planted(filled),
    is_finite_or_null: planted(inverse_volume),
    keeps_its_bounds: planted(log_price, maximum=3),
    forgets_its_start_within_its_warm_up: planted(slow_mean, lookback=20),
    sees_no_future: planted(tomorrow),
    is_free_of_scale_if_it_says_so: planted(log_price),
    has_a_column_that_feast_can_serve: planted(log_price),
    has_one_row_in_the_docs: planted(log_price),
    is_compiled_as_written: planted(log_price, Other),
    depends_on_no_other_symbol: planted(counts_calls),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_planted_feature_is_caught(check: Check) -> None:
    feature = MUTANTS[check]
    with pytest.raises(AssertionError):
        check(planted_group(feature), feature)


def test_a_rule_of_never_is_held_against_nulls_on_every_market() -> None:
    feature = planted(unknown_when_still, null_rule="never after the first value")
    with pytest.raises(AssertionError, match="still"):
        says_when_it_is_null(planted_group(feature), feature)
