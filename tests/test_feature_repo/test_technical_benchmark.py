"""The benchmark of the technical features compares before it measures, and says what it could not measure."""

import polars as pl
import pytest

from benchmarks import technical
from benchmarks.rivals.environments import Unavailable
from feature_repo.engines.panel import compute_technical
from lake.sources import tiny_market
from lake.universe import MARKET

NO_QLIB = Unavailable("qlib could not be installed (pyqlib): no network")


@pytest.mark.slow
def test_every_row_has_its_figures_and_a_missing_rival_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(technical, "ask_qlib", lambda *_: NO_QLIB)
    topic = technical.measure(2, 450, 1)
    assert all(len(row) == len(topic.header) for row in topic.rows)
    assert [row[0] for row in topic.rows if row[0].startswith("P")] == [
        "P1, beside Polars expressions `.over` the symbol",
        "P1, beside qlib",
        "P3, beside the first touch of the same bytes",
        "P3, peak memory beside bytes in and out",
    ]
    assert topic.rows[1][1:] == (NO_QLIB.reason, topic.rows[1][2], "", ">= 12 / 50", "not measured")


def test_a_rival_that_computes_something_else_is_not_measured() -> None:
    bars = tiny_market(["AAA", MARKET], 450, seed=1).select(technical.NEEDED)
    ours = compute_technical(bars)
    technical.compare(ours, bars, NO_QLIB)
    with pytest.raises(AssertionError, match="Polars computes 'macd' differently at 100"):
        technical.compare(ours.with_columns(pl.col("macd") * 1.001), bars, NO_QLIB)
    with pytest.raises(AssertionError, match="Polars knows 'rsi_14' at other bars"):
        technical.compare(ours.with_columns(pl.col("rsi_14").fill_null(50)), bars, NO_QLIB)


def test_qlib_is_asked_for_features_that_exist() -> None:
    assert set(technical.EXPRESSIONS) <= {feature.name for feature in technical.FORMULAS}
