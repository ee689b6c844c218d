"""No feature, label or regime sees the future, and the checker that says so catches what does."""

import polars as pl
import pytest

from feature_repo.catalog import TECHNICAL
from feature_repo.labels import compute_labels
from feature_repo.leaks import find_leaks, require_causal
from feature_repo.regimes import compute_regimes
from feature_repo.spec import Feature
from feature_repo.technical import compute_technical
from lake.errors import LookAheadError

RETURN = pl.col("close") / pl.col("close").shift(1) - 1
LEAKS = {
    "tomorrow": RETURN.shift(-1),
    "centred_window": pl.col("close").rolling_mean(5, center=True),
    "scaled_over_the_whole_sample": (pl.col("close") - pl.col("close").mean()) / pl.col("close").std(),
    "filled_backwards": pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("close")).backward_fill(),
    "interpolated": pl.when(pl.int_range(pl.len()) % 3 == 0).then(pl.col("close")).interpolate(),
    "rank_in_the_whole_sample": pl.col("close").rank() / pl.len(),
    "counts_what_is_to_come": pl.col("close").reverse().cum_count().reverse().cast(pl.Float64) + 0 * pl.col("close"),
    "on_one_weekday": pl.when(pl.int_range(pl.len()) % 5 == 2).then(RETURN.shift(-1)).otherwise(RETURN),
    "smoothed_from_both_ends": pl.col("close").reverse().ewm_mean(alpha=0.5).reverse(),
}


def planted(name: str) -> Feature:
    return Feature(name, LEAKS[name], ("close",), 1, unit="", formula="", meaning="")


def consecutive(bars: pl.DataFrame, count: int = 6) -> list:
    """Consecutive sessions near the end, so that each weekday is once the last one known, and two far back."""
    sessions = bars["event_time"].unique().sort()
    return [sessions[40], sessions[len(sessions) // 2], *sessions[-count - 3 : -3].to_list()]


def test_no_feature_sees_the_future(small_market) -> None:
    bars = small_market(290)
    assert find_leaks(compute_technical, bars, consecutive(bars)) == []


def test_no_feature_of_the_real_market_sees_the_future(real_bars: pl.DataFrame) -> None:
    chosen = real_bars.filter(
        pl.col("symbol").is_in(["AAPL", "META", "JPM", "^GSPC"]), pl.col("event_time").dt.year() >= 2010
    )
    require_causal(compute_technical, chosen, consecutive(chosen, 3))


def test_no_regime_sees_the_future(real_bars: pl.DataFrame) -> None:
    index = real_bars.filter(pl.col("symbol") == "^GSPC")
    assert compute_regimes(index).height > 3000
    require_causal(compute_regimes, index, consecutive(index), key=("market", "event_time"))


@pytest.mark.parametrize("name", LEAKS)
def test_a_planted_leak_is_caught_and_named(small_market, name: str) -> None:
    bars = small_market(60)
    leaks = find_leaks(lambda b: compute_technical(b, [planted(name)]), bars, consecutive(bars))
    assert {leak.column for leak in leaks} == {name}


def test_a_leak_among_clean_features_is_the_only_one_named(small_market) -> None:
    bars = small_market(290)
    mixed = [*TECHNICAL, planted("tomorrow")]
    with pytest.raises(LookAheadError, match=r"1 columns change .* 'tomorrow' when the future was cut off, e\.g\. "):
        require_causal(lambda b: compute_technical(b, mixed), bars, consecutive(bars, 2))


def test_a_row_that_appears_only_with_the_future_is_a_leak(small_market) -> None:
    """A session dropped because of what came after it is seen, although no value of another row changes."""

    def only_before_gains(bars: pl.DataFrame) -> pl.DataFrame:
        return bars.filter((pl.col("close").shift(-1) > pl.col("close")).over("symbol").fill_null(value=True)).select(
            "symbol", "event_time"
        )

    bars = small_market(60)
    assert {leak.column for leak in find_leaks(only_before_gains, bars, consecutive(bars))} == {"the row itself"}


def test_labels_do_see_the_future_and_the_checker_says_so(small_market) -> None:
    bars = small_market(60)
    leaks = find_leaks(compute_labels, bars, consecutive(bars), key=("symbol", "event_time", "horizon_sessions"))
    assert "forward_return" in {leak.column for leak in leaks}
