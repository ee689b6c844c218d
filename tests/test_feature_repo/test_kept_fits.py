"""Fits that are kept: none is made twice, and none outlives the closes that it was made on."""

from pathlib import Path
from unittest.mock import Mock

import numpy as np
import polars as pl
import pytest
from hypothesis import Phase, example, given
from hypothesis import strategies as st

from feature_repo.catalog import CONDITIONAL_VOLATILITY, TECHNICAL
from feature_repo.compute import garch
from feature_repo.compute.fitted import FittedKernel
from feature_repo.engines import kept_fits
from feature_repo.engines.panel import compute_group
from feature_repo.materialize import update_group
from feature_repo.spec import FeatureGroup
from lake.clock import FixedClock
from lake.sources import tiny_market
from lake.store import Lake
from lake.tables import BARS
from lake.universe import MARKET
from support.properties import examples

GROUP = FeatureGroup("fitted", "Fitted each year.", tuple(f for f in CONDITIONAL_VOLATILITY if "garch" in f.name))
BARS_OF_ALL = tiny_market(["AAA", "BBB", MARKET], sessions=560, seed=4)
SESSIONS = BARS_OF_ALL["event_time"].unique().sort().to_list()


def made_in(lake: Lake, monkeypatch: pytest.MonkeyPatch, session: int) -> int:
    """Update at a session; how many fits that made."""
    fit = Mock(wraps=garch.garch_fit, spec=garch.garch_fit)
    fit.name = garch.garch_fit.name
    with monkeypatch.context() as patch:
        patch.setattr(garch.garch_volatility, "fit", fit)
        update_group(lake, FixedClock(SESSIONS[session]), GROUP)
    return fit.call_count


def filled(folder: Path, session: int) -> Lake:
    lake = Lake(folder)
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") <= SESSIONS[session]))
    return lake


def restated(symbol: str, session: int, known: int, factor: float) -> pl.DataFrame:
    is_it = (pl.col("symbol") == symbol) & (pl.col("event_time") == SESSIONS[session])
    return BARS_OF_ALL.filter(is_it).with_columns(pl.col("close") * factor, pl.lit(SESSIONS[known]).alias("known_time"))


def assert_as_computed_whole(lake: Lake) -> None:
    """What is stored has the values, to 1e-12, of one computation over all bars that has no fit to go on."""
    whole = compute_group(lake.read_as_of(BARS, SESSIONS[-1]), GROUP)
    stored = lake.read_as_of(GROUP.table, SESSIONS[-1])
    for feature in GROUP:
        ours, full = (rows[feature.name].fill_null(float("nan")).to_numpy() for rows in (stored, whole))
        np.testing.assert_allclose(ours, full, rtol=1e-12)


def test_a_session_makes_no_fit_that_its_year_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lake = filled(tmp_path / "lake", -3)
    years = {at.year for at in SESSIONS}
    assert made_in(lake, monkeypatch, -3) == 2 * len(years), "one fit per symbol and year serves both horizons"
    for session in (-2, -1):
        lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") == SESSIONS[session]))
        assert made_in(lake, monkeypatch, session) == 0
    assert_as_computed_whole(lake)


@examples(4, phases=[Phase.explicit, Phase.generate])
@example(session=-300, factor=1.02)
@given(session=st.integers(-540, -260), factor=st.sampled_from([0.97, 1.0001, 1.02]))
def test_a_restated_bar_is_fitted_anew(session: int, factor: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    lake = filled(tmp_path_factory.mktemp("lake"), -2)
    update_group(lake, FixedClock(SESSIONS[-2]), GROUP)
    lake.merge(BARS, restated("BBB", session, -1, factor))
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") == SESSIONS[-1]))
    before = lake.read_as_of(GROUP.table, SESSIONS[-2])
    update_group(lake, FixedClock(SESSIONS[-1]), GROUP)
    assert_as_computed_whole(lake)
    assert lake.read_as_of(GROUP.table, SESSIONS[-2]).equals(before), "what was known then stays what it was"


@pytest.mark.parametrize("damage", ["torn", "empty", "changed", "of other kernels"])
def test_a_damaged_file_of_fits_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    lake = filled(tmp_path / "lake", -2)
    update_group(lake, FixedClock(SESSIONS[-2]), GROUP)
    path = lake.root / ".stamps" / "fits"
    content = path.read_bytes()
    if damage == "of other kernels":
        monkeypatch.setattr("feature_repo.engines.fit_file.digest", lambda: "another")
    else:
        changed = bytearray(content)
        changed[-1] ^= 0x40  # a parameter half as large
        path.write_bytes({"torn": content[:-7], "empty": b"", "changed": bytes(changed)}[damage])
    lake.merge(BARS, BARS_OF_ALL.filter(pl.col("event_time") == SESSIONS[-1]))
    assert made_in(lake, monkeypatch, -1) == 2
    assert_as_computed_whole(lake)


def test_no_more_fits_are_kept_than_room_is_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("feature_repo.engines.fit_file.MOST", 2)
    lake, closes = Lake(tmp_path), [np.array([10.0, 11.0, 10.0 + n]) for n in range(3)]
    with kept_fits(lake, TECHNICAL) as fits:
        for close in closes:
            fits.of(garch.garch_fit, close)
    with kept_fits(lake, TECHNICAL) as fits:
        for close in reversed(closes):
            fits.of(garch.garch_fit, close)
        assert fits.made == 1, "the newest two were kept"


@pytest.mark.parametrize("is_asked", ["all", "the last", "none"])
def test_symbols_together_have_the_bits_of_each_alone(is_asked: str) -> None:
    """Among them a young one, one that stands still and one that begins in the middle of a year."""
    function = garch.garch_volatility
    assert isinstance(function, FittedKernel)
    random = np.random.default_rng(2)
    lengths = [400, 5, 21, 90, 300]
    closes = [100 * np.cumprod(1 + 0.01 * random.standard_normal(length)) for length in lengths]
    closes[3][:] = 50.0
    years = [2000 + (np.arange(length) + 17 * n) // 120 * 1.0 for n, length in enumerate(lengths)]
    asked = [np.ones(length) if is_asked == "all" else np.zeros(length) for length in lengths]
    for values in asked if is_asked == "the last" else ():
        values[-1] = 1
    starts = np.concatenate([[0], np.cumsum(lengths)])
    out = np.empty(starts[-1])
    function.over(starts, [np.concatenate(column) for column in (closes, years, asked)], (150, 5), out)
    alone = [function(*columns, 150, 5) for columns in zip(closes, years, asked, strict=True)]
    np.testing.assert_array_equal(out, np.concatenate(alone))
