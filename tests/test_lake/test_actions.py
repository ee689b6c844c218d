"""Splits and dividends as companies declare them, told from rounding and from each other."""

import numpy as np
import polars as pl
import pytest

from lake.refine import find_actions, refine_bars
from support.vintage_feed import SESSIONS, Action, VintageFeed

DAY = 10


def found(feed: VintageFeed) -> list[dict[str, object]]:
    return find_actions(refine_bars(feed.read(None, SESSIONS[-1]).rows).judged).to_dicts()


def one(ratio: float = 1.0, dividend: float = 0.0, basis: str = "as_traded", decimals: int | None = 4) -> VintageFeed:
    return VintageFeed({"SHARE": {DAY: Action(ratio, dividend)}}, basis, decimals=decimals)


@pytest.mark.parametrize("decimals", [2, 4, None])
@pytest.mark.parametrize("ratio", [2, 3, 20, 3 / 2, 5 / 4, 6 / 5, 11 / 10, 21 / 20, 1 / 2, 1 / 10, 2 / 3, 20 / 21])
def test_a_split_is_a_split_however_small(ratio: float, decimals: int | None) -> None:
    (action,) = found(one(ratio, decimals=decimals))
    assert (action["kind"], action["amount"], action["event_time"]) == ("split", None, SESSIONS[DAY])
    assert action["ratio"] == pytest.approx(ratio, rel=2e-3)


@pytest.mark.parametrize("basis", ["as_traded", "split_adjusted"])
@pytest.mark.parametrize("part", [0.002, 0.01, 0.03, 0.08, 0.17])
def test_a_dividend_is_one_and_never_negative(part: float, basis: str) -> None:
    feed = one(dividend=part, basis=basis)
    (action,) = found(feed)
    bars = feed.read(None, SESSIONS[-1]).rows
    before = float(bars["close"][DAY - 1])
    paid = before * part if basis == "split_adjusted" else float(bars["close"][DAY]) * (1 / (1 - part) - 1)
    assert (action["kind"], action["ratio"]) == ("dividend", 1.0)
    assert action["amount"] == pytest.approx(paid, rel=0.01)


@pytest.mark.parametrize("basis", ["as_traded", "split_adjusted"])
@pytest.mark.parametrize("decimals", [0, 1, 2])
def test_rounding_is_no_action(basis: str, decimals: int) -> None:
    """Adjusted closes rounded in print, of a share whose factor is far from one."""
    bars = VintageFeed({"SHARE": {}}, basis).read(None, SESSIONS[-1]).rows
    random = np.random.default_rng(4)
    for _ in range(20):
        factor = random.uniform(0.02, 0.9)
        text = [f"{float(close) * factor:.{max(decimals, 2)}f}" for close in bars["close"]]
        prices = [
            pl.col(name).cast(pl.Float64).round(decimals).cast(pl.String) for name in ("high", "low", "open", "close")
        ]
        rows = bars.with_columns(*prices, pl.Series("adj_close", text))
        refined = refine_bars(rows)
        assert find_actions(refined.judged).is_empty()


def test_a_spin_off_and_a_dividend_with_a_split_are_one_split() -> None:
    (both,) = found(one(7.0, 0.01))
    assert (both["kind"], both["amount"]) == ("split", None)
    assert both["ratio"] == pytest.approx(7 / 0.99, rel=1e-4)
